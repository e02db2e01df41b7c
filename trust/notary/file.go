package notary

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	canonical "github.com/docker/go/canonical/json"
	"github.com/theupdateframework/notary/tuf/data"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The roles of The Update Framework, beside delegations, which are targets/NAME.
const (
	root      = "root"
	targets   = "targets"
	snapshot  = "snapshot"
	timestamp = "timestamp"
	// releases is the delegation that docker reads before targets.
	releases = "targets/releases"
)

// Limits of one file. They are far above what clients make, and keep the work
// that an upload causes in proportion to its size.
const (
	maxSignatures  = 64
	maxKeyBytes    = 16 << 10
	maxRoleKeys    = 256
	maxPaths       = 256
	maxDelegations = 5000
	maxVersion     = 1 << 40
)

// newFile is the file of a version that is not stored yet.
func newFile(role string, version int64, content []byte) core.TUFFile {
	sum := sha256.Sum256(content)
	return core.TUFFile{Role: role, Version: version, SHA256: hex.EncodeToString(sum[:]), Content: content}
}

// outline is what any file says of itself, in so far as limits look at it.
type outline struct {
	Type        string                           `json:"_type"`
	Version     int64                            `json:"version"`
	Keys        data.Keys                        `json:"keys"`
	Roles       map[data.RoleName]*data.RootRole `json:"roles"`
	Delegations data.Delegations                 `json:"delegations"`
}

// readFile reads an uploaded file and holds it against the limits. That it is
// valid metadata, the chain will tell.
func readFile(role string, content []byte) (core.TUFFile, error) {
	// The parser of the TUF packages recurses as deep as the text asks for;
	// this one does not.
	if !json.Valid(content) {
		return core.TUFFile{}, fmt.Errorf("it is no JSON, or nested too deep")
	}
	var s data.Signed
	if err := canonical.Unmarshal(content, &s); err != nil || s.Signed == nil {
		return core.TUFFile{}, fmt.Errorf("it is no signed metadata")
	}
	if len(s.Signatures) > maxSignatures {
		return core.TUFFile{}, fmt.Errorf("it has more than %d signatures", maxSignatures)
	}
	var o outline
	if err := canonical.Unmarshal(*s.Signed, &o); err != nil {
		return core.TUFFile{}, fmt.Errorf("it is no metadata: %w", err)
	}
	return newFile(role, o.Version, content), o.check()
}

func (o outline) check() error {
	switch {
	case o.Version < 1 || o.Version > maxVersion:
		return fmt.Errorf("the version %d is not between 1 and %d", o.Version, int64(maxVersion))
	case len(o.Delegations.Roles) > maxDelegations:
		return fmt.Errorf("it delegates to more than %d roles", maxDelegations)
	}
	for _, keys := range []data.Keys{o.Keys, o.Delegations.Keys} {
		for _, key := range keys {
			if len(key.Public()) > maxKeyBytes {
				return fmt.Errorf("it has a key of more than %d bytes", maxKeyBytes)
			}
		}
	}
	for _, r := range o.Roles {
		if r != nil && len(r.KeyIDs) > maxRoleKeys {
			return fmt.Errorf("a role has more than %d keys", maxRoleKeys)
		}
	}
	for _, r := range o.Delegations.Roles {
		if r == nil {
			return fmt.Errorf("a delegation is empty")
		}
		if len(r.KeyIDs) > maxRoleKeys || len(r.Paths) > maxPaths {
			return fmt.Errorf("the delegation %s has more than %d keys or paths", core.Clip(string(r.Name), 64), maxPaths)
		}
	}
	return nil
}

func isDelegation(role string) bool { return data.IsDelegation(data.RoleName(role)) }
