package notary

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/notary/trustpinning"
	"github.com/theupdateframework/notary/tuf"
	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/signed"
	"github.com/theupdateframework/notary/tuf/validation"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/seal"
)

// maxState bounds the newest versions of all roles of a GUN together, in bytes.
const maxState = 16 << 20

// Lives are how long what the registry signs is valid.
type Lives struct{ Timestamp, Snapshot time.Duration }

// DefaultLives are notary's.
var DefaultLives = Lives{Timestamp: 14 * 24 * time.Hour, Snapshot: 3 * 365 * 24 * time.Hour}

// renewAt is when something is to be signed again: well before a client would
// find it expired.
func renewAt(expires time.Time, life time.Duration) time.Time { return expires.Add(-life / 2) }

// judgement is one change of a GUN on its way.
type judgement struct {
	state    app.TUFState
	lives    Lives
	ring     *keyring
	before   files
	after    files
	uploaded []core.TUFFile
	made     []core.TUFFile // by the registry
	root     *data.SignedRoot
	chain    *chain
}

func newJudgement(state app.TUFState, box *seal.Box, lives Lives) *judgement {
	j := &judgement{state: state, lives: lives, before: files{}}
	for _, file := range state.Files {
		j.before[file.Role] = file
	}
	j.after = maps.Clone(j.before)
	j.ring = &keyring{gun: state.Name, keys: state.Keys, box: box, used: map[string]bool{}}
	return j
}

// judgeUpdate says what an upload makes of the GUN, or why it is refused: then
// the error is a *problem, or one of package validation.
func judgeUpdate(state app.TUFState, uploaded []core.TUFFile, box *seal.Box, lives Lives) (app.TUFUpdate, error) {
	j := newJudgement(state, box, lives)
	j.uploaded = uploaded
	for _, step := range []func() error{j.succeeds, j.readRoot, j.makeSnapshot, j.makeTimestamp, j.readBack} {
		if err := step(); err != nil {
			return app.TUFUpdate{}, err
		}
	}
	return j.update(nil), nil
}

// succeeds checks that each file is newer than what is there: no client can be
// led back to an older one.
func (j *judgement) succeeds() error {
	size := 0
	for _, file := range j.uploaded {
		if known := j.before[file.Role].Version; file.Version <= known {
			return oldVersion(fmt.Sprintf("version %d of %s is not newer than version %d, which is there", file.Version, file.Role, known))
		}
		j.after[file.Role] = file
	}
	if len(j.after) > maxDelegations+4 {
		return errTooLarge.withDetail(fmt.Sprintf("more than %d delegations", maxDelegations))
	}
	for _, file := range j.after {
		size += len(file.Content)
	}
	if size > maxState {
		return errTooLarge.withDetail(fmt.Sprintf("the metadata of a repository must not have more than %d bytes in all", maxState))
	}
	return nil
}

// readRoot reads the root and, where it is new, has the one before vouch for it
// (The Update Framework, section 5.3).
func (j *judgement) readRoot() error {
	b := tuf.NewRepoBuilder(data.GUN(j.state.Name), nil, trustpinning.TrustPinConfig{})
	old, known := j.before[root]
	if known {
		if err := b.Load(data.CanonicalRootRole, old.Content, 1, true); err != nil {
			return blame(root, err)
		}
	}
	if err := j.nextRoot(b, &b, known); err != nil {
		return err
	}
	repo, _, err := b.Finish()
	if err == nil {
		j.root = repo.Root
	}
	return err
}

func (j *judgement) nextRoot(b tuf.RepoBuilder, next *tuf.RepoBuilder, known bool) error {
	file := j.after[root]
	current := int64(b.GetLoadedVersion(data.CanonicalRootRole)) // 1 where there is none
	switch {
	case file.Content == nil:
		return validation.ErrValidation{Msg: "no pre-existing root and no root provided in update."}
	case file.Version == j.before[root].Version:
		return nil
	case file.Version != current+1 && (known || file.Version != current):
		return validation.ErrBadRoot{Msg: fmt.Sprintf("Root modifications must increment the version. Current %d, new %d", current, file.Version)}
	}
	*next = b.BootstrapNewBuilder()
	if err := (*next).Load(data.CanonicalRootRole, file.Content, int(current), false); err != nil {
		return blame(root, err)
	}
	return nil
}

// makeSnapshot signs the snapshot unless the upload has one.
func (j *judgement) makeSnapshot() error {
	if j.after[snapshot].Version != j.before[snapshot].Version {
		return nil
	}
	return j.signSnapshot()
}

func (j *judgement) signSnapshot() error {
	changed := j.uploaded
	if _, ok := j.before[snapshot]; !ok {
		changed = nil
		for _, role := range slices.Sorted(maps.Keys(j.after)) {
			changed = append(changed, j.after[role])
		}
	}
	file, err := j.ring.nextSnapshot(j.root, j.before[snapshot], changed, j.lives.Snapshot)
	if _, none := errors.AsType[signed.ErrNoKeys](err); none {
		return validation.ErrBadHierarchy{Missing: snapshot,
			Msg: "no snapshot was included in update and server does not hold current snapshot key for repository"}
	}
	if err == nil {
		j.makes(file)
	}
	return err
}

func (j *judgement) makes(file core.TUFFile) {
	j.after[file.Role] = file
	j.made = append(j.made, file)
}

// makeTimestamp signs the timestamp of the snapshot.
func (j *judgement) makeTimestamp() error {
	file, err := j.ring.nextTimestamp(j.root, j.before[timestamp], j.after[snapshot], j.lives.Timestamp)
	if _, none := errors.AsType[signed.ErrNoKeys](err); none {
		return validation.ErrBadRoot{Msg: "no timestamp keys exist on the server"}
	}
	if err == nil {
		j.makes(file)
	}
	return err
}

// readBack reads the whole as a client will. Each uploaded file must count.
func (j *judgement) readBack() (err error) {
	if j.chain, err = readChain(j.state.Name, j.after, j.ring.holds); err != nil {
		return err
	}
	for _, file := range j.uploaded {
		if !isDelegation(file.Role) || j.chain.byName[file.Role] != nil {
			continue
		}
		if err := j.chain.refused[file.Role]; err != nil {
			return blame(file.Role, err)
		}
		return blame(file.Role, fmt.Errorf("delegation does not exist"))
	}
	return nil
}

// update is what the judgement comes to; problem is why clients refuse it all.
func (j *judgement) update(problem error) app.TUFUpdate {
	u := app.TUFUpdate{Revision: j.state.Revision, Files: append(slices.Clone(j.uploaded), j.made...),
		UsedKeys: slices.Sorted(maps.Keys(j.ring.used)), RefreshAt: j.refreshAt(), Summary: j.summary(), View: j.view(problem)}
	if problem == nil {
		u.Facts = j.chain.facts()
	}
	for _, key := range j.state.Keys {
		if _, named := j.root.Signed.Keys[key.ID]; !named && !key.UsedAt.IsZero() {
			u.Retired = append(u.Retired, key.ID)
		}
	}
	return u
}

func (j *judgement) summary() string {
	var parts []string
	for _, file := range slices.Concat(j.uploaded, j.made) {
		parts = append(parts, fmt.Sprintf("%s %d", file.Role, file.Version))
	}
	return core.Clip("metadata "+strings.Join(parts, ", "), 1000)
}

// refreshAt is when the GUN has to be looked at again.
func (j *judgement) refreshAt() time.Time {
	next := renewAt(expiresOf(j.after[timestamp]), j.lives.Timestamp)
	if role, err := j.root.BuildBaseRole(data.CanonicalSnapshotRole); err == nil && j.ring.holds(role) {
		next = earlier(next, renewAt(expiresOf(j.after[snapshot]), j.lives.Snapshot))
	}
	if j.chain == nil {
		return next
	}
	for _, r := range j.chain.roles {
		next = earlier(next, r.until)
	}
	return next
}
