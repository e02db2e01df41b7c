package notary

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	canonical "github.com/docker/go/canonical/json"
	"github.com/theupdateframework/notary/tuf/data"
	"github.com/theupdateframework/notary/tuf/signed"
	"github.com/theupdateframework/notary/tuf/utils"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/seal"
)

// keyring is what the registry holds of a GUN's keys.
type keyring struct {
	gun  string
	keys []core.TUFKey
	box  *seal.Box
	used map[string]bool
}

// sealContext binds a sealed key to its place.
func sealContext(gun string, key core.TUFKey) string {
	return "tuf key\x00" + gun + "\x00" + key.Role + "\x00" + key.ID
}

// newKey makes a key for a role of the GUN.
func newKey(gun, role string, box *seal.Box) (core.TUFKey, error) {
	private, err := utils.GenerateECDSAKey(rand.Reader)
	if err != nil {
		return core.TUFKey{}, err
	}
	public, err := json.Marshal(data.PublicKeyFromPrivate(private))
	key := core.TUFKey{ID: private.ID(), Role: role, Public: public}
	key.Sealed = box.Seal(private.Private(), sealContext(gun, key))
	return key, err
}

// of returns a key of the role that the registry holds.
func (k *keyring) of(role data.BaseRole) (core.TUFKey, bool) {
	for _, key := range k.keys {
		if _, ok := role.Keys[key.ID]; ok && key.Role == string(role.Name) {
			return key, true
		}
	}
	return core.TUFKey{}, false
}

// holds says whether the registry can sign for the role.
func (k *keyring) holds(role data.BaseRole) bool {
	_, ok := k.of(role)
	return ok && role.Threshold == 1
}

func (k *keyring) private(key core.TUFKey) (data.PrivateKey, error) {
	secret, err := k.box.Open(key.Sealed, sealContext(k.gun, key))
	if err != nil {
		return nil, fmt.Errorf("the %s key of %s: %w", key.Role, k.gun, err)
	}
	public, err := data.UnmarshalPublicKey(key.Public)
	if err != nil {
		return nil, err
	}
	return data.NewPrivateKey(public, secret)
}

// sign signs content for a role that the registry holds a key of, and returns
// the file.
func (k *keyring) sign(role data.BaseRole, version int, object *data.Signed) (core.TUFFile, error) {
	key, ok := k.of(role)
	if !ok {
		return core.TUFFile{}, signed.ErrNoKeys{KeyIDs: role.ListKeyIDs()}
	}
	private, err := k.private(key)
	if err != nil {
		return core.TUFFile{}, err
	}
	signature, err := private.Sign(rand.Reader, *object.Signed, nil)
	if err != nil {
		return core.TUFFile{}, err
	}
	object.Signatures = []data.Signature{{KeyID: key.ID, Method: private.SignatureAlgorithm(), Signature: signature}}
	content, err := canonical.Marshal(object)
	if err != nil {
		return core.TUFFile{}, err
	}
	k.used[key.ID] = true
	return newFile(string(role.Name), int64(version), content), nil
}

// meta is how a file is listed by another one.
func meta(f core.TUFFile) (data.FileMeta, error) {
	return data.NewFileMeta(bytes.NewReader(f.Content), data.NotaryDefaultHashes...)
}

// nextSnapshot signs the snapshot after previous, if any, which lists the given
// files in place of the versions before.
func (k *keyring) nextSnapshot(r *data.SignedRoot, previous core.TUFFile, changed []core.TUFFile, life time.Duration) (core.TUFFile, error) {
	role, err := r.BuildBaseRole(data.CanonicalSnapshotRole)
	if err != nil {
		return core.TUFFile{}, err
	}
	s := &data.SignedSnapshot{Signed: data.Snapshot{Meta: data.Files{}}}
	if previous.Content != nil {
		if err := canonical.Unmarshal(previous.Content, s); err != nil {
			return core.TUFFile{}, err
		}
	}
	for _, file := range changed {
		m, err := meta(file)
		if err != nil {
			return core.TUFFile{}, err
		}
		s.Signed.Meta[file.Role] = m
	}
	s.Signed.SignedCommon = data.SignedCommon{Type: data.TUFTypes[data.CanonicalSnapshotRole],
		Version: int(previous.Version) + 1, Expires: expiry(life)}
	object, err := s.ToSigned()
	if err != nil {
		return core.TUFFile{}, err
	}
	return k.sign(role, s.Signed.Version, object)
}

// nextTimestamp signs the timestamp after previous, if any, of the snapshot.
func (k *keyring) nextTimestamp(r *data.SignedRoot, previous, of core.TUFFile, life time.Duration) (core.TUFFile, error) {
	role, err := r.BuildBaseRole(data.CanonicalTimestampRole)
	if err != nil {
		return core.TUFFile{}, err
	}
	m, err := meta(of)
	if err != nil {
		return core.TUFFile{}, err
	}
	t := &data.SignedTimestamp{Signed: data.Timestamp{
		SignedCommon: data.SignedCommon{Type: data.TUFTypes[data.CanonicalTimestampRole], Version: int(previous.Version) + 1, Expires: expiry(life)},
		Meta:         data.Files{snapshot: m},
	}}
	object, err := t.ToSigned()
	if err != nil {
		return core.TUFFile{}, err
	}
	return k.sign(role, t.Signed.Version, object)
}

func expiry(life time.Duration) time.Time { return time.Now().Add(life).UTC() }
