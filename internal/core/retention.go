package core

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The templates of a retention rule, in Harbor's words: what of the artifacts
// that its selectors choose the rule retains.
const (
	RetainLatestPushed = "latestPushedK"      // the N that were pushed last
	RetainLatestPulled = "latestPulledN"      // the N that were pulled last
	RetainPushedWithin = "nDaysSinceLastPush" // those pushed within N days
	RetainPulledWithin = "nDaysSinceLastPull" // those pulled within N days
	RetainAlways       = "always"             // all
	RetainNothing      = "nothing"            // none: what no other rule retains goes
)

const (
	// maxRetentionRules is Harbor's bound on the rules of one policy.
	maxRetentionRules = 15
	// maxRetentionCount and maxRetentionDays are Harbor's bounds on N.
	maxRetentionCount = 1<<15 - 2
	maxRetentionDays  = 20190904
)

// RetentionRule retains some of the artifacts that its selectors choose.
type RetentionRule struct {
	Disabled     bool       `json:"disabled,omitempty"`
	Priority     int64      `json:"priority,omitempty"` // kept for clients; the order of rules means nothing
	Template     string     `json:"template"`
	N            int        `json:"n,omitempty"` // artifacts or days
	Tags         []Selector `json:"tags"`
	Repositories []Selector `json:"repositories"`
}

// RetentionPolicy says which artifacts of a project are kept: in every
// repository that at least one enabled rule selects, those that any rule
// retains. Other repositories are left alone.
type RetentionPolicy struct {
	ID        int64
	ProjectID int64
	Rules     []RetentionRule
	Cron      string // when it runs by itself; empty for by hand only
	CreatedAt time.Time
	UpdatedAt time.Time
}

// RetentionTemplates lists the templates that need N, with the largest N.
func RetentionTemplates() map[string]int {
	return map[string]int{RetainLatestPushed: maxRetentionCount, RetainLatestPulled: maxRetentionCount,
		RetainPushedWithin: maxRetentionDays, RetainPulledWithin: maxRetentionDays}
}

// Validate checks the rules; the schedule is checked by what runs it. As in
// Harbor two equal rules are CodeConflict.
func (p RetentionPolicy) Validate() error {
	if len(p.Rules) > maxRetentionRules {
		return Errorf(CodeBadRequest, "only %d rules are allowed at most", maxRetentionRules)
	}
	for i, r := range p.Rules {
		if err := r.validate(); err != nil {
			return err
		}
		if j := slices.IndexFunc(p.Rules[:i], r.equal); j >= 0 {
			return Errorf(CodeConflict, "rule %d is conflict with rule %d", i, j)
		}
	}
	return nil
}

func (r RetentionRule) equal(other RetentionRule) bool {
	return r.Disabled == other.Disabled && r.Priority == other.Priority && r.Template == other.Template && r.N == other.N &&
		slices.Equal(r.Tags, other.Tags) && slices.Equal(r.Repositories, other.Repositories)
}

func (r RetentionRule) validate() error {
	largest, counts := RetentionTemplates()[r.Template]
	switch {
	case !counts && r.Template != RetainAlways && r.Template != RetainNothing:
		return Errorf(CodeBadRequest, "there is no retention template %q; GET /api/v2.0/retentions/metadatas lists them", Clip(r.Template, 64))
	case counts && (r.N < 0 || r.N > largest):
		return Errorf(CodeBadRequest, "the parameter %s must be a number from 0 to %d", r.Template, largest)
	}
	if _, err := tagChoosers(r.Tags); err != nil {
		return err
	}
	_, err := appliesTo(r.Repositories, "")
	return err
}

// RetentionCandidate is an artifact that a policy decides about: one with a
// tag, or one that is neither part of an index nor refers to another.
type RetentionCandidate struct {
	ID       int64 // of the artifact
	Digest   string
	Subject  string // digest of the manifest that it refers to
	Tags     []Tag
	PushedAt time.Time // of the artifact or, if later, of its last tag
	PulledAt time.Time // the same for pulls; zero: never
}

// Same says whether nothing has happened to the artifact since.
func (c RetentionCandidate) Same(other RetentionCandidate) bool {
	return c.ID == other.ID && c.PushedAt.Equal(other.PushedAt) && c.PulledAt.Equal(other.PulledAt) &&
		slices.EqualFunc(c.Tags, other.Tags, func(a, b Tag) bool { return a.ID == b.ID && a.Name == b.Name })
}

// attachedTag is how cosign, and clients of registries without the referrers
// API, name what belongs to another manifest (distribution specification,
// "Referrers Tag Schema").
var attachedTag = regexp.MustCompile(`^(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})(?:\.[a-z]+)?$`)

// Follows returns the digest of the manifest that the artifact belongs to, as
// its subject or all of its tags say; "" for none.
func (c RetentionCandidate) Follows() string {
	if c.Subject != "" {
		return c.Subject
	}
	digest := ""
	for _, t := range c.Tags {
		match := attachedTag.FindStringSubmatch(t.Name)
		if match == nil {
			return ""
		}
		named := strings.Replace(match[1], "-", ":", 1)
		if digest != "" && digest != named {
			return ""
		}
		digest = named
	}
	return digest
}

// Fate is what a policy does to an artifact.
type Fate string

// The fates. FateFailed is that of an artifact which should have been deleted.
const (
	FateRetained  Fate = "retained"
	FateDeleted   Fate = "deleted"
	FateImmutable Fate = "immutable" // to be deleted, but it has an immutable tag
	FateFailed    Fate = "error"
)

// Retention is a policy as it applies to one repository.
type Retention struct{ rules []retaining }

type retaining struct {
	template string
	n        int
	tags     []chooser
}

// For returns what the policy does in the repository, named in full; false when
// no enabled rule selects it.
func (p RetentionPolicy) For(repository string) (r Retention, applies bool, err error) {
	for _, rule := range p.Rules {
		if rule.Disabled {
			continue
		}
		selected, err := appliesTo(rule.Repositories, repository)
		if err != nil {
			return r, false, err
		}
		if !selected {
			continue
		}
		tags, err := tagChoosers(rule.Tags)
		if err != nil {
			return r, false, err
		}
		r.rules = append(r.rules, retaining{rule.Template, rule.N, tags})
	}
	return r, len(r.rules) > 0, nil
}

// Decide returns the fate of each candidate of the repository. An artifact is
// one candidate with all of its tags, as in Harbor: it is retained whole or
// deleted whole, and whole it stays when one tag is immutable. Signatures and
// the like share the fate of what they belong to, while that is present, a set
// of the digests of the repository.
func (r Retention) Decide(candidates []RetentionCandidate, present map[string]bool, immutable Immutability, now time.Time) []Fate {
	retained := r.retained(candidates, present, now)
	fates := make([]Fate, len(candidates))
	positions := make(map[string]int, len(candidates))
	for i, c := range candidates {
		positions[c.Digest] = i
	}
	for i, c := range candidates {
		switch {
		case retained[leader(i, candidates, positions, present)]:
			fates[i] = FateRetained
		case immutable.HoldsAny(c.Tags):
			fates[i] = FateImmutable
		default:
			fates[i] = FateDeleted
		}
	}
	keepWithLeaders(fates, candidates, positions, present)
	return fates
}

// nobody is the leader that is present but no candidate, such as a part of an
// index: it is there, so what belongs to it stays.
const nobody = -1

// maxLeaders bounds how far signatures of signatures are followed.
const maxLeaders = 8

// leader returns the position of the candidate that decides about i: its own
// when it belongs to no other.
func leader(i int, candidates []RetentionCandidate, positions map[string]int, present map[string]bool) int {
	for range maxLeaders {
		next := candidates[i].Follows()
		if !present[next] || next == candidates[i].Digest {
			return i
		}
		position, ok := positions[next]
		if !ok {
			return nobody
		}
		i = position
	}
	return nobody
}

// keepWithLeaders retains what belongs to an artifact that an immutable tag
// keeps.
func keepWithLeaders(fates []Fate, candidates []RetentionCandidate, positions map[string]int, present map[string]bool) {
	for i := range fates {
		l := leader(i, candidates, positions, present)
		if l != i && l != nobody && fates[i] == FateDeleted && fates[l] == FateImmutable {
			fates[i] = FateRetained
		}
	}
}

// retained returns the positions that any rule retains, nobody among them.
func (r Retention) retained(candidates []RetentionCandidate, present map[string]bool, now time.Time) map[int]bool {
	all := map[int]bool{nobody: true}
	for _, rule := range r.rules {
		var chosen []int
		for i, c := range candidates {
			follows := c.Follows()
			if (!present[follows] || follows == c.Digest) && rule.chooses(c) {
				chosen = append(chosen, i)
			}
		}
		for _, i := range rule.keep(chosen, candidates, now) {
			all[i] = true
		}
	}
	return all
}

func (r retaining) chooses(c RetentionCandidate) bool {
	return !slices.ContainsFunc(r.tags, func(t chooser) bool { return !t.tags(c.Tags) })
}

// keep returns those of the chosen that the template retains.
func (r retaining) keep(chosen []int, candidates []RetentionCandidate, now time.Time) []int {
	pushed := func(i int) time.Time { return candidates[i].PushedAt }
	pulled := func(i int) time.Time { return candidates[i].PulledAt }
	switch r.template {
	case RetainAlways:
		return chosen
	case RetainLatestPushed:
		return r.latest(chosen, candidates, pushed)
	case RetainLatestPulled:
		return r.latest(chosen, candidates, pulled)
	case RetainPushedWithin:
		return r.within(chosen, pushed, now)
	case RetainPulledWithin:
		return r.within(chosen, pulled, now)
	}
	return nil
}

// latest returns the first N by time, the latest first. Where that is the same,
// as of all that were never pulled, the one pushed later and then the one with
// the higher id goes first, so that a dry run and the run after it agree.
func (r retaining) latest(chosen []int, candidates []RetentionCandidate, moment func(int) time.Time) []int {
	ordered := slices.Clone(chosen)
	slices.SortFunc(ordered, func(a, b int) int {
		return cmp.Or(moment(b).Compare(moment(a)), candidates[b].PushedAt.Compare(candidates[a].PushedAt),
			cmp.Compare(candidates[b].ID, candidates[a].ID))
	})
	return ordered[:min(r.n, len(ordered))]
}

// within returns those whose time is at most N days of 24 hours ago, or in the
// future as after a clock was set back. What never happened is not within.
func (r retaining) within(chosen []int, moment func(int) time.Time, now time.Time) []int {
	earliest := now.UTC().AddDate(0, 0, -r.n)
	return slices.DeleteFunc(slices.Clone(chosen), func(i int) bool {
		return moment(i).IsZero() || moment(i).Before(earliest)
	})
}

// RetentionResult is one line of what an execution did, or would have done: a
// tag, or an artifact without one.
type RetentionResult struct {
	Digest   string    `json:"digest"`
	Tag      string    `json:"tag"` // empty for an artifact without a tag
	PushedAt time.Time `json:"push_time"`
	PulledAt time.Time `json:"pull_time"`
	Fate     Fate      `json:"status"`
}

// Results lists the candidate as lines, one for each tag.
func (c RetentionCandidate) Results(fate Fate) []RetentionResult {
	if len(c.Tags) == 0 {
		return []RetentionResult{{c.Digest, "", c.PushedAt, c.PulledAt, fate}}
	}
	lines := make([]RetentionResult, len(c.Tags))
	for i, t := range c.Tags {
		lines[i] = RetentionResult{c.Digest, t.Name, t.PushedAt, t.PulledAt, fate}
	}
	return lines
}

// RetentionTask is the part of an execution that is about one repository.
type RetentionTask struct {
	ID          int64
	ExecutionID int64  // of the job
	Repository  string // full name
	Status      JobStatus
	Total       int64 // artifacts
	Retained    int64 // artifacts
	StartedAt   time.Time
	EndedAt     time.Time
	Message     string // of an error
}
