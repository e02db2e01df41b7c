package notary

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	canonical "github.com/docker/go/canonical/json"
	"github.com/theupdateframework/notary"
	"github.com/theupdateframework/notary/trustpinning"
	"github.com/theupdateframework/notary/tuf"
	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/signed"
	"github.com/theupdateframework/notary/tuf/utils"
	"github.com/theupdateframework/notary/tuf/validation"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// files are the newest version of each role.
type files map[string]core.TUFFile

// chain is the metadata of a GUN as a client reads it, all of it verified.
type chain struct {
	root     *data.SignedRoot
	snapshot *data.SignedSnapshot
	// roles are targets and the delegations that are valid, each after the one
	// that it comes from.
	roles    []*targetsRole
	byName   map[string]*targetsRole
	rootKeys []string // canonical ids of those that signed the root
	// refused says why another delegation is not among them.
	refused map[string]error
	until   time.Time // when root or targets expire, or a snapshot that a client signs
}

// targetsRole is targets or a delegation.
type targetsRole struct {
	name  string
	file  core.TUFFile
	meta  *data.SignedTargets
	keys  []string // canonical ids of those that signed
	paths []string // prefixes of the names that it may sign
	until time.Time
}

func (c *chain) add(r *targetsRole) {
	c.roles = append(c.roles, r)
	c.byName[r.name] = r
}

// readChain reads the metadata as a new client does, with the client's own code:
// root, timestamp, snapshot, targets. The error is one of package validation.
func readChain(gun string, f files, held func(data.BaseRole) bool) (*chain, error) {
	b := tuf.NewRepoBuilder(data.GUN(gun), nil, trustpinning.TrustPinConfig{})
	for _, role := range []string{root, timestamp, snapshot, targets} {
		file, ok := f[role]
		if !ok {
			return nil, validation.ErrBadHierarchy{Missing: role, Msg: "there is no " + role}
		}
		if err := b.Load(data.RoleName(role), file.Content, 1, false); err != nil {
			return nil, blame(role, err)
		}
	}
	for _, role := range []string{root, timestamp, snapshot, targets} {
		if err := downloadable(b.GetConsistentInfo(data.RoleName(role)), f[role]); err != nil {
			return nil, blame(role, err)
		}
	}
	repo, _, err := b.Finish()
	if err != nil {
		return nil, err
	}
	c := &chain{root: repo.Root, snapshot: repo.Snapshot, byName: map[string]*targetsRole{}, refused: map[string]error{}}
	if err := c.bound(repo, gun, held); err != nil {
		return nil, blame(root, err)
	}
	if err := c.begin(repo, f); err != nil {
		return nil, blame(targets, err)
	}
	for i := 0; i < len(c.roles); i++ { // it grows
		c.descend(c.roles[i], f)
	}
	return c, nil
}

// blame makes an error that clients show, about that role.
func blame(role string, err error) error {
	switch role {
	case root:
		return validation.ErrBadRoot{Msg: err.Error()}
	case snapshot:
		return validation.ErrBadSnapshot{Msg: err.Error()}
	case timestamp:
		return validation.ErrValidation{Msg: "the timestamp: " + err.Error()}
	case targets:
		return validation.ErrBadTargets{Msg: err.Error()}
	}
	return validation.ErrBadTargets{Msg: role + ": " + err.Error()}
}

// downloadable says whether a client that expects that much reads the whole file.
func downloadable(info tuf.ConsistentInfo, file core.TUFFile) error {
	if size := info.Length(); size >= 0 && int64(len(file.Content)) > size {
		return fmt.Errorf("%s has %d bytes, but is said to have %d", file.Role, len(file.Content), size)
	}
	return nil
}

// bound finds when the chain ends without anybody's doing. What the registry
// signs is signed again in time.
func (c *chain) bound(repo *tuf.Repo, gun string, held func(data.BaseRole) bool) error {
	c.until = repo.Root.Signed.Expires
	snapshotRole, err := repo.Root.BuildBaseRole(data.CanonicalSnapshotRole)
	if err != nil {
		return err
	}
	if !held(snapshotRole) {
		c.until = earlier(c.until, repo.Snapshot.Signed.Expires)
	}
	c.until = earlier(c.until, rootCertificatesEnd(repo.Root, gun))
	c.rootKeys, err = canonicalIDs(signers(repo.Root.Signatures, repo.Root.Signed.Keys))
	return err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// rootCertificatesEnd is when too few of the certificates of the root role that
// signed are left for its threshold.
func rootCertificatesEnd(r *data.SignedRoot, gun string) time.Time {
	var ends []time.Time
	for _, key := range signers(r.Signatures, r.Signed.Keys) {
		if cert := leaf(key); cert != nil && trustpinning.MatchCNToGun(cert.Subject.CommonName, data.GUN(gun)) {
			ends = append(ends, cert.NotAfter)
		}
	}
	threshold := r.Signed.Roles[data.CanonicalRootRole].Threshold
	slices.SortFunc(ends, func(a, b time.Time) int { return b.Compare(a) })
	if threshold > len(ends) {
		return time.Time{} // cannot be: it was verified
	}
	return ends[threshold-1]
}

func leaf(key data.PublicKey) *x509.Certificate {
	certs, err := utils.LoadCertBundleFromPEM(key.Public())
	if err != nil || len(certs) == 0 {
		return nil
	}
	return certs[0]
}

// signers returns the keys of the signatures that were found valid.
func signers(signatures []data.Signature, keys data.Keys) []data.PublicKey {
	var found []data.PublicKey
	for i, s := range signatures {
		again := slices.ContainsFunc(signatures[:i], func(o data.Signature) bool { return o.IsValid && o.KeyID == s.KeyID })
		if key, ok := keys[s.KeyID]; ok && s.IsValid && !again {
			found = append(found, key)
		}
	}
	return found
}

// canonicalIDs are the ids of the keys as key stores show them: a key in a
// certificate has the same one as the key alone.
func canonicalIDs(keys []data.PublicKey) ([]string, error) {
	ids := make([]string, len(keys))
	for i, key := range keys {
		id, err := utils.CanonicalKeyID(key)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func (c *chain) begin(repo *tuf.Repo, f files) error {
	meta := repo.Targets[data.CanonicalTargetsRole]
	ids, err := canonicalIDs(signers(meta.Signatures, c.root.Signed.Keys))
	c.add(&targetsRole{name: targets, file: f[targets], meta: meta, keys: ids, paths: []string{""},
		until: earlier(c.until, meta.Signed.Expires)})
	return err
}

// descend reads the delegations of a role. Those that a client would pass over
// are noted and passed over. The packages' own walk looks at all siblings for
// each one, which takes minutes for thousands.
func (c *chain) descend(parent *targetsRole, f files) {
	known := map[data.RoleName]bool{}
	sound := map[string]error{} // of a key
	for _, declared := range parent.meta.Signed.Delegations.Roles {
		if known[declared.Name] {
			continue // the first one counts
		}
		known[declared.Name] = true
		role, err := c.delegation(parent, declared, f, sound)
		if err != nil {
			c.refused[string(declared.Name)] = err
		} else if role != nil {
			c.add(role)
		}
	}
}

// delegation reads one, which is nil when nothing was published there yet.
func (c *chain) delegation(parent *targetsRole, declared *data.Role, f files, sound map[string]error) (*targetsRole, error) {
	name := string(declared.Name)
	listed, ok := c.snapshot.Signed.Meta[name]
	if !ok {
		return nil, nil
	}
	file, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("the snapshot lists it, but it is missing")
	}
	if _, ok := listed.Hashes[notary.SHA256]; !ok || listed.Length < int64(len(file.Content)) {
		return nil, fmt.Errorf("the snapshot lists it without its size and SHA-256")
	}
	if err := data.CheckHashes(file.Content, name, listed.Hashes); err != nil {
		return nil, err
	}
	base := data.BaseRole{Name: declared.Name, Threshold: declared.Threshold, Keys: map[string]data.PublicKey{}}
	for _, id := range declared.KeyIDs {
		key := parent.meta.Signed.Delegations.Keys[id]
		if err := soundKey(key, id, sound); err != nil {
			return nil, err
		}
		base.Keys[id] = key
	}
	role := &targetsRole{name: name, file: file, paths: data.RestrictDelegationPathPrefixes(parent.paths, declared.Paths)}
	return role, role.verify(base, parent.until)
}

// soundKey refuses certificates that clients refuse.
func soundKey(key data.PublicKey, id string, sound map[string]error) error {
	if err, ok := sound[id]; ok {
		return err
	}
	cert, err := utils.LoadCertFromPEM(key.Public())
	if err != nil {
		sound[id] = nil // a bare key
		return nil
	}
	sound[id] = utils.ValidateCertificate(cert, false)
	return sound[id]
}

func (r *targetsRole) verify(base data.BaseRole, until time.Time) error {
	object := &data.Signed{}
	if err := canonical.Unmarshal(r.file.Content, object); err != nil {
		return err
	}
	var err error
	if r.meta, err = data.TargetsFromSigned(object, base.Name); err != nil {
		return err
	}
	if err := signed.VerifySignatures(object, base); err != nil {
		return err
	}
	if err := signed.VerifyExpiry(&r.meta.Signed.SignedCommon, base.Name); err != nil {
		return err
	}
	r.until = earlier(until, r.meta.Signed.Expires)
	r.keys, err = canonicalIDs(signers(object.Signatures, base.Keys))
	return err
}

// digestOf returns the digest that the role signs under that name, "" for none.
func (r *targetsRole) digestOf(name string) string {
	meta, ok := r.meta.Signed.Targets[name]
	sum := meta.Hashes[notary.SHA256]
	if !ok || len(sum) != sha256.Size {
		return ""
	}
	return fmt.Sprintf("sha256:%x", sum)
}

// covers says whether the name is the role's to sign.
func (r *targetsRole) covers(name string) bool {
	return slices.ContainsFunc(r.paths, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
