package notary

import (
	"slices"

	"github.com/theupdateframework/notary/tuf/data"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxListed is how many delegations a view lists.
const maxListed = 500

// view is who signs, for people.
func (j *judgement) view(problem error) core.TUFView {
	v := core.TUFView{Root: j.root.Signed.Expires.UTC(), RootKeys: keysOf(j.root, data.CanonicalRootRole),
		RepositoryKeys: keysOf(j.root, data.CanonicalTargetsRole), Targets: expiresOf(j.after[targets]).UTC(),
		Snapshot: expiresOf(j.after[snapshot]).UTC(), Timestamp: expiresOf(j.after[timestamp]).UTC()}
	if role, err := j.root.BuildBaseRole(data.CanonicalSnapshotRole); err == nil {
		v.ServerSnapshot = j.ring.holds(role)
	}
	if problem != nil {
		v.Problem = core.Clip(problem.Error(), 500)
		return v
	}
	for _, r := range j.chain.roles {
		for _, declared := range r.meta.Signed.Delegations.Roles {
			if len(v.Delegations) == maxListed {
				v.More++
			} else {
				v.Delegations = append(v.Delegations, j.chain.listed(r, declared))
			}
		}
	}
	return v
}

// listed is a delegation as its parent declares it, with what became of it.
func (c *chain) listed(parent *targetsRole, declared *data.Role) core.TUFRole {
	r := core.TUFRole{Name: string(declared.Name), Threshold: declared.Threshold, Paths: declared.Paths}
	for _, id := range declared.KeyIDs {
		if ids, err := canonicalIDs([]data.PublicKey{parent.meta.Signed.Delegations.Keys[id]}); err == nil {
			r.Keys = append(r.Keys, ids...)
		}
	}
	if role := c.byName[r.Name]; role != nil {
		r.Signed, r.Expires = len(role.meta.Signed.Targets), role.meta.Signed.Expires.UTC()
	} else if err := c.refused[r.Name]; err != nil {
		r.Problem = core.Clip(err.Error(), 300)
	}
	return r
}

// keysOf are the canonical ids of the keys of a role in the root.
func keysOf(root *data.SignedRoot, name data.RoleName) []string {
	role, err := root.BuildBaseRole(name)
	if err != nil {
		return nil
	}
	ids, err := canonicalIDs(role.ListKeys())
	if err != nil {
		return nil
	}
	slices.Sort(ids)
	return ids
}
