package core

import (
	"strings"
	"time"
)

// GUN is a trusted collection of Notary: the Globally Unique Name under which
// clients sign a repository, HOST[:PORT]/PROJECT/NAME, kept as they wrote it.
type GUN struct {
	ID           int64
	Name         string
	RepositoryID int64
	// Revision grows with every change.
	Revision int64
	// RefreshAt is when it has to be looked at again: what the registry signed
	// itself, or a signature that counts, runs out then.
	RefreshAt time.Time
	CreatedAt time.Time
}

// Published says whether any metadata is there.
func (g GUN) Published() bool { return !g.RefreshAt.IsZero() }

// TUFFile is one version of the metadata of a role (The Update Framework,
// section 4), byte by byte as it was signed.
type TUFFile struct {
	Role      string
	Version   int64
	SHA256    string // in hexadecimal
	Content   []byte
	CreatedAt time.Time
}

// TUFKey is a key that the registry holds for a GUN, to sign the timestamp or
// the snapshot.
type TUFKey struct {
	ID        string
	Role      string
	Public    []byte // as clients read it, in JSON
	Sealed    []byte // the private part, encrypted
	CreatedAt time.Time
	UsedAt    time.Time // of the first signature; zero while it is only offered
}

// The categories of a TUFChange, in notary's words.
const (
	TUFUpdated = "update"
	TUFDeleted = "deletion"
)

// TUFChange is one entry of notary's changefeed.
type TUFChange struct {
	ID        int64
	GUN       string
	Version   int64  // of the timestamp; 0 for a deletion
	SHA256    string // of the timestamp; "" for a deletion
	Category  string
	CreatedAt time.Time
}

// SplitGUN cuts a GUN into the host, with its port, and the full name of the
// repository. ok says that the latter is the name of one.
func SplitGUN(gun string) (host, repository string, ok bool) {
	host, repository, _ = strings.Cut(gun, "/")
	return host, repository, host != "" && ValidateRepositoryName(repository) == nil
}

// TUFView is who signs in a trusted collection, and until when that is so.
type TUFView struct {
	RootKeys       []string  `json:"root_keys"`
	RepositoryKeys []string  `json:"repository_keys"` // of targets
	Root           time.Time `json:"root_expires"`
	Targets        time.Time `json:"targets_expires"`
	Snapshot       time.Time `json:"snapshot_expires"`
	Timestamp      time.Time `json:"timestamp_expires"` // the registry signs it again in time
	ServerSnapshot bool      `json:"server_snapshot"`   // the registry signs it, and again in time
	Delegations    []TUFRole `json:"delegations"`
	More           int       `json:"more_delegations"`  // that are not listed
	Problem        string    `json:"problem,omitempty"` // why clients refuse all of it
}

// TUFRole is a delegation: a signer or, for docker, the released tags.
type TUFRole struct {
	Name      string    `json:"name"` // targets/NAME
	Keys      []string  `json:"keys"`
	Threshold int       `json:"threshold"`
	Paths     []string  `json:"paths"`
	Signed    int       `json:"signed"` // how many names it signs
	Expires   time.Time `json:"expires,omitzero"`
	Problem   string    `json:"problem,omitempty"` // why it does not count
}
