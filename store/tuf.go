package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const gunColumns = `tuf_gun.id, tuf_gun.gun, tuf_gun.repository_id, tuf_gun.revision, tuf_gun.refresh_at, tuf_gun.created_at`

func scanGUN(row scanner) (g core.GUN, err error) {
	var refresh, created int64
	err = row.Scan(&g.ID, &g.Name, &g.RepositoryID, &g.Revision, &refresh, &created)
	g.RefreshAt, g.CreatedAt = at(refresh), at(created)
	return g, err
}

// GUN returns the trusted collection of that name; ErrNoRow when there is none.
func (tx *Tx) GUN(name string) (core.GUN, error) {
	return one(tx, `SELECT `+gunColumns+` FROM tuf_gun WHERE gun = $1`, []any{name}, scanGUN)
}

// GUNsOf returns all trusted collections of the repository, the oldest first.
func (tx *Tx) GUNsOf(repositoryID int64) ([]core.GUN, error) {
	return list(tx, `SELECT `+gunColumns+` FROM tuf_gun WHERE repository_id = $1 ORDER BY id`, []any{repositoryID}, scanGUN)
}

// DueGUNs returns at most n names of trusted collections that have to be looked
// at again before then, the most urgent first.
func (tx *Tx) DueGUNs(before time.Time, n int) ([]string, error) {
	return list(tx, `SELECT gun FROM tuf_gun WHERE refresh_at > 0 AND refresh_at < $1 ORDER BY refresh_at, id LIMIT $2`,
		[]any{micros(before), n}, scanText)
}

// GUNsDue has the trusted collections of a repository looked at again.
func (tx *Tx) GUNsDue(repositoryID int64) error {
	_, err := tx.exec(`UPDATE tuf_gun SET refresh_at = 1 WHERE refresh_at > 0 AND repository_id = $1`, repositoryID)
	return err
}

// AllGUNsDue has every trusted collection looked at again.
func (tx *Tx) AllGUNsDue() error {
	_, err := tx.exec(`UPDATE tuf_gun SET refresh_at = 1 WHERE refresh_at > 0`)
	return err
}

// EnsureGUN returns the trusted collection of that name, which is made for the
// repository where it was missing.
func (tx *Tx) EnsureGUN(name string, repositoryID int64) (core.GUN, error) {
	g, err := tx.GUN(name)
	if err != ErrNoRow {
		return g, err
	}
	return one(tx, `INSERT INTO tuf_gun (gun, repository_id, revision, refresh_at, created_at)
		VALUES ($1, $2, 0, 0, $3) RETURNING `+gunColumns, []any{name, repositoryID, micros(tx.now)}, scanGUN)
}

// AdvanceGUN makes the next revision of the trusted collection; ErrNoRow when
// the given one is not the last any more.
func (tx *Tx) AdvanceGUN(id, revision int64, refreshAt time.Time, view core.TUFView) error {
	text, err := json.Marshal(view)
	if err != nil {
		return err
	}
	return tx.execOne(`UPDATE tuf_gun SET revision = revision + 1, refresh_at = $3, signers = $4 WHERE id = $1 AND revision = $2`,
		id, revision, micros(refreshAt), string(text))
}

// TUFView returns who signs in the trusted collection, as of its last change.
func (tx *Tx) TUFView(id int64) (view core.TUFView, err error) {
	var text string
	if err := tx.get(`SELECT signers FROM tuf_gun WHERE id = $1`, []any{id}, &text); err != nil || text == "" {
		return view, err
	}
	return view, json.Unmarshal([]byte(text), &view)
}

// SignedElsewhere returns the names of the repositories with published metadata,
// but none in the name of the host.
func (tx *Tx) SignedElsewhere(host string) ([]string, error) {
	return list(tx, `SELECT DISTINCT repository.name FROM tuf_gun JOIN repository ON repository.id = tuf_gun.repository_id
		WHERE tuf_gun.refresh_at > 0 AND NOT EXISTS (
			SELECT 1 FROM tuf_gun here WHERE here.gun = $1 || '/' || repository.name AND here.refresh_at > 0)
		ORDER BY repository.name`, []any{host}, scanText)
}

// DeleteGUN removes the trusted collection with its metadata and keys. It says
// whether there was any metadata.
func (tx *Tx) DeleteGUN(id int64) (published bool, err error) {
	err = tx.get(`SELECT EXISTS (SELECT 1 FROM tuf_file WHERE gun_id = $1)`, []any{id}, &published)
	if err != nil {
		return false, err
	}
	return published, tx.execOne(`DELETE FROM tuf_gun WHERE id = $1`, id)
}

const tufFileColumns = `role, version, sha256, content, created_at`

func scanTUFFile(row scanner) (f core.TUFFile, err error) {
	var created int64
	err = row.Scan(&f.Role, &f.Version, &f.SHA256, &f.Content, &created)
	f.CreatedAt = at(created)
	return f, err
}

// TUFFiles returns the newest version of every role.
func (tx *Tx) TUFFiles(gunID int64) ([]core.TUFFile, error) {
	return list(tx, `SELECT `+tufFileColumns+` FROM tuf_file f WHERE gun_id = $1
		AND version = (SELECT MAX(version) FROM tuf_file l WHERE l.gun_id = f.gun_id AND l.role = f.role)
		ORDER BY role`, []any{gunID}, scanTUFFile)
}

// TUFFile returns the newest version of a role; ErrNoRow when there is none.
func (tx *Tx) TUFFile(gunID int64, role string) (core.TUFFile, error) {
	return one(tx, `SELECT `+tufFileColumns+` FROM tuf_file WHERE gun_id = $1 AND role = $2 ORDER BY version DESC LIMIT 1`,
		[]any{gunID, role}, scanTUFFile)
}

// TUFFileVersion returns one version of a role; ErrNoRow when there is none such.
func (tx *Tx) TUFFileVersion(gunID int64, role string, version int64) (core.TUFFile, error) {
	return one(tx, `SELECT `+tufFileColumns+` FROM tuf_file WHERE gun_id = $1 AND role = $2 AND version = $3`,
		[]any{gunID, role, version}, scanTUFFile)
}

// TUFFileSum returns the version of a role with that SHA-256 in hexadecimal;
// ErrNoRow when there is none such.
func (tx *Tx) TUFFileSum(gunID int64, role, sha256 string) (core.TUFFile, error) {
	return one(tx, `SELECT `+tufFileColumns+` FROM tuf_file WHERE gun_id = $1 AND role = $2 AND sha256 = $3 ORDER BY version DESC LIMIT 1`,
		[]any{gunID, role, sha256}, scanTUFFile)
}

// AddTUFFile adds a version of a role; ErrDuplicate when it is there already.
func (tx *Tx) AddTUFFile(gunID int64, f core.TUFFile) error {
	_, err := tx.exec(`INSERT INTO tuf_file (gun_id, role, version, sha256, content, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		gunID, f.Role, f.Version, f.SHA256, f.Content, micros(tx.now))
	return err
}

// PruneTUFFiles keeps the newest n versions of a role.
func (tx *Tx) PruneTUFFiles(gunID int64, role string, n int) error {
	_, err := tx.exec(`DELETE FROM tuf_file WHERE gun_id = $1 AND role = $2 AND version < (SELECT MIN(version) FROM (
		SELECT version FROM tuf_file WHERE gun_id = $1 AND role = $2 ORDER BY version DESC LIMIT $3) newest)`, gunID, role, n)
	return err
}

func scanTUFKey(row scanner) (k core.TUFKey, err error) {
	var created, used int64
	err = row.Scan(&k.ID, &k.Role, &k.Public, &k.Sealed, &created, &used)
	k.CreatedAt, k.UsedAt = at(created), at(used)
	return k, err
}

// TUFKeys returns the keys that the registry holds for the trusted collection,
// the newest first.
func (tx *Tx) TUFKeys(gunID int64) ([]core.TUFKey, error) {
	return list(tx, `SELECT key_id, role, public, sealed, created_at, used_at FROM tuf_key WHERE gun_id = $1 ORDER BY created_at DESC, key_id`,
		[]any{gunID}, scanTUFKey)
}

// AddTUFKey adds a key that has signed nothing yet.
func (tx *Tx) AddTUFKey(gunID int64, k core.TUFKey) error {
	_, err := tx.exec(`INSERT INTO tuf_key (gun_id, key_id, role, public, sealed, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, 0)`,
		gunID, k.ID, k.Role, k.Public, k.Sealed, micros(tx.now))
	return err
}

// UseTUFKey records the first signature of a key.
func (tx *Tx) UseTUFKey(gunID int64, id string) error {
	_, err := tx.exec(`UPDATE tuf_key SET used_at = $3 WHERE gun_id = $1 AND key_id = $2 AND used_at = 0`, gunID, id, micros(tx.now))
	return err
}

// DeleteTUFKey removes a key.
func (tx *Tx) DeleteTUFKey(gunID int64, id string) error {
	_, err := tx.exec(`DELETE FROM tuf_key WHERE gun_id = $1 AND key_id = $2`, gunID, id)
	return err
}

// SealedKey is the encrypted part of a key, wherever it belongs.
type SealedKey struct {
	GUNID int64
	GUN   string
	Key   core.TUFKey
}

// SealedKeys returns at most n keys of all trusted collections, after the given
// one in their order; the zero SealedKey begins.
func (tx *Tx) SealedKeys(after SealedKey, n int) ([]SealedKey, error) {
	return list(tx, `SELECT k.gun_id, g.gun, k.key_id, k.role, k.sealed FROM tuf_key k JOIN tuf_gun g ON g.id = k.gun_id
		WHERE k.gun_id > $1 OR (k.gun_id = $1 AND k.key_id > $2) ORDER BY k.gun_id, k.key_id LIMIT $3`,
		[]any{after.GUNID, after.Key.ID, n}, func(row scanner) (s SealedKey, err error) {
			err = row.Scan(&s.GUNID, &s.GUN, &s.Key.ID, &s.Key.Role, &s.Key.Sealed)
			return s, err
		})
}

// ReplaceSealed replaces the encrypted part of a key.
func (tx *Tx) ReplaceSealed(gunID int64, id string, sealed []byte) error {
	_, err := tx.exec(`UPDATE tuf_key SET sealed = $3 WHERE gun_id = $1 AND key_id = $2`, gunID, id, sealed)
	return err
}

// AddTUFChange adds an entry to the changefeed.
func (tx *Tx) AddTUFChange(c core.TUFChange) error {
	_, err := tx.exec(`INSERT INTO tuf_change (gun, version, sha256, category, created_at) VALUES ($1, $2, $3, $4, $5)`,
		c.GUN, c.Version, c.SHA256, c.Category, micros(tx.now))
	return err
}

func scanTUFChange(row scanner) (c core.TUFChange, err error) {
	var created int64
	err = row.Scan(&c.ID, &c.GUN, &c.Version, &c.SHA256, &c.Category, &created)
	c.CreatedAt = at(created)
	return c, err
}

// ofGUN selects the entries of one GUN, or all of them when it is empty.
func ofGUN(gun string) string {
	if gun == "" {
		return `gun <> $2`
	}
	return `gun = $2`
}

// TUFChangesAfter returns at most n entries of the changefeed after the id, the
// oldest first; of one GUN unless it is empty.
func (tx *Tx) TUFChangesAfter(gun string, id int64, n int) ([]core.TUFChange, error) {
	return list(tx, `SELECT id, gun, version, sha256, category, created_at FROM tuf_change
		WHERE id > $1 AND `+ofGUN(gun)+` ORDER BY id LIMIT $3`, []any{id, gun, n}, scanTUFChange)
}

// TUFChangesBefore returns the n entries of the changefeed before the id, or the
// last ones when it is 0, the oldest first; of one GUN unless it is empty.
func (tx *Tx) TUFChangesBefore(gun string, id int64, n int) ([]core.TUFChange, error) {
	changes, err := list(tx, `SELECT id, gun, version, sha256, category, created_at FROM tuf_change
		WHERE (id < $1 OR $1 = 0) AND `+ofGUN(gun)+` ORDER BY id DESC LIMIT $3`, []any{id, gun, n}, scanTUFChange)
	slices.Reverse(changes)
	return changes, err
}
