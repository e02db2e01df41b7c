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
