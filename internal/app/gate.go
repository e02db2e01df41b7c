package app

import (
	"errors"
	"math"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/policy"
	"github.com/breakwater-registry/breakwater/store"
)

// refusal is the error of a pull that the policy of the project forbids.
type refusal struct {
	cause    *core.Error
	verdict  policy.Verdict
	policy   policy.Project
	asked    store.PullFacts
	resource string // as the audit log names it
	project  core.Project
	username string
}

// Error returns the text of the refusal.
func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap lets the code and the message of the refusal be found.
func (r *refusal) Unwrap() error { return r.cause }

func (r *refusal) event(c core.Caller) core.AuditEvent {
	return core.AuditEvent{
		Actor: c.Subject.String(), Username: r.username, Origin: c.Origin, Operation: string(core.ActPull), ResourceType: "artifact",
		Resource: r.resource, ProjectID: r.project.ID, Digest: r.asked.Digest, Description: "refused by policy: " + string(r.verdict.Reason),
	}
}

// pulled is what is asked for: a manifest by a tag or, without one, by digest.
type pulled struct {
	project    core.Project
	repository string
	tag        string
}

// name is how people read what is asked for.
func (p pulled) name(digest string) string {
	if p.tag != "" {
		return p.repository + ":" + p.tag
	}
	return p.repository + "@" + digest
}

// mayPull is the one rule of what may be pulled; every way to the content of a
// project goes through it. While the project asks for nothing it costs nothing.
func (s *session) mayPull(what pulled, manifestID int64) error {
	p, err := s.app.policyOf(what.project)
	if err != nil || !p.Enforces() {
		return err
	}
	facts, err := s.ManifestPullFacts(manifestID, len(p.Trust) > 0)
	if err != nil {
		return err
	}
	return s.judge(what, p, facts)
}

// mayPullBlob is mayPull for a blob that manifests of the repository use: it is
// enough that one of them may be pulled, so that shared layers stay open.
func (s *session) mayPullBlob(what pulled, blob store.LinkedBlob) error {
	p, err := s.app.policyOf(what.project)
	if err != nil || !p.Enforces() {
		return err
	}
	const batch = 20
	var first error
	for before := int64(math.MaxInt64); ; {
		users, err := s.BlobPullFacts(what.project.ID, blob.RepositoryID, blob.ID, before, batch, len(p.Trust) > 0)
		if err != nil {
			return err
		}
		for _, facts := range users {
			err := s.judge(what, p, facts)
			if _, refused := errors.AsType[*refusal](err); !refused {
				return err
			}
			if first == nil {
				first = err
			}
			before = facts.ID
		}
		if len(users) < batch {
			return first
		}
	}
}

// judge has the policy decide.
func (s *session) judge(what pulled, p policy.Project, known store.PullFacts) error {
	verdict := s.verdict(what, p, known, p.Quarantine && s.governs(what.project))
	if verdict.Allowed() {
		return nil
	}
	return &refusal{cause: core.Errorf(core.CodePolicyViolation, "%s", verdict.Message), verdict: verdict, policy: p,
		asked: known, resource: what.name(known.Digest), project: what.project, username: s.username}
}

func (s *session) verdict(what pulled, p policy.Project, known store.PullFacts, admin bool) policy.Verdict {
	facts := policyFacts(what.repository, known)
	facts.Name, facts.Tag, facts.Admin = what.name(known.Digest), what.tag, admin
	return policy.Decide(facts, p, s.Now())
}

// judgeListed adds to artifacts of one repository what the policy decides about
// their pulls by those who do not administer the project: by the tag that is
// asked for or, where that is empty, by the first.
func (s *session) judgeListed(project core.Project, tag string, list []ListedArtifact) error {
	p, err := s.app.policyOf(project)
	if err != nil || !p.Enforces() {
		return err
	}
	ids := make([]int64, len(list))
	for i, a := range list {
		ids[i] = a.ID
	}
	known, err := s.PullFactsOf(ids, len(p.Trust) > 0)
	if core.ErrorCode(err) == core.CodePolicyViolation && len(list) > 1 {
		for i := range list { // together they list too many manifests
			if err := s.judgeListed(project, tag, list[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if core.ErrorCode(err) == core.CodePolicyViolation {
		list[0].Pull = policy.Verdict{Reason: policy.ReasonUnscannable, Message: core.ErrorMessage(err)}
		return nil
	}
	if err != nil {
		return err
	}
	for i, a := range list {
		what := pulled{project: project, repository: a.Repository, tag: tag}
		if tag == "" && len(a.Tags) > 0 {
			what.tag = a.Tags[0].Name
		}
		list[i].Pull = s.verdict(what, p, known[a.ID], false)
	}
	return nil
}

// governs says whether the caller may change the policy of the project.
func (s *session) governs(project core.Project) bool {
	_, err := s.onProject(core.ProjectRef{ID: project.ID}, core.ResMetadata, core.ActUpdate)
	return err == nil
}

func policyFacts(repository string, known store.PullFacts) policy.Facts {
	f := policy.Facts{Name: repository + "@" + known.Digest, Kind: known.Kind, Index: known.Index, Scan: known.Scan,
		Trust: known.Trust, IndexTrust: known.IndexTrust}
	f.Attestation = runsNowhere(known.Platform)
	for _, child := range known.Children {
		f.Children = append(f.Children, policyFacts(repository, child))
	}
	return f
}
