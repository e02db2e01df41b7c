package notary

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/theupdateframework/notary/tuf/data"
)

// kind is what a path names.
type kind int

const (
	kindFile    kind = iota // metadata of a role
	kindKey                 // the registry's key of a role
	kindAll                 // all metadata of a GUN
	kindFeed                // the changes of a GUN
	kindAllFeed             // the changes of all GUNs
)

// target is a parsed path.
type target struct {
	kind    kind
	gun     string
	role    string
	sha256  string // selects a version of the metadata, as does version
	version int64
}

const (
	trustPart = "/_trust/"
	prefix    = "/v2/"
)

// Serves says whether the path is one of the trust server. No repository's path
// looks like it: the parts of a name begin with a letter or digit.
func Serves(path string) bool {
	return strings.Contains(path, trustPart) || path == prefix+"_trust/changefeed"
}

var (
	byChecksum = regexp.MustCompile(`^(.+)\.([0-9a-f]{64})$`)
	byVersion  = regexp.MustCompile(`^([1-9][0-9]{0,17})\.(.+)$`)
)

// parsePath reads a path. As in the registry an escaped one is refused: the name
// that is authorised must be the one that is used.
func parsePath(r *http.Request) (target, error) {
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok || r.URL.RawPath != "" {
		return target{}, errNotFound
	}
	if rest == "_trust/changefeed" {
		return target{kind: kindAllFeed}, nil
	}
	gun, rest, ok := strings.Cut(rest, trustPart)
	if !ok || gun == "" {
		return target{}, errNotFound
	}
	if rest == "changefeed" {
		return target{kind: kindFeed, gun: gun}, nil
	}
	name, ok := strings.CutPrefix(rest, "tuf/")
	if !ok {
		return target{}, errNotFound
	}
	if name == "" {
		return target{kind: kindAll, gun: gun}, nil
	}
	return parseFile(gun, name)
}

func parseFile(gun, name string) (target, error) {
	if role, ok := strings.CutSuffix(name, ".key"); ok {
		if role != timestamp && role != snapshot {
			return target{}, errNotFound
		}
		return target{kind: kindKey, gun: gun, role: role}, nil
	}
	role, ok := strings.CutSuffix(name, ".json")
	if !ok {
		return target{}, errNotFound
	}
	t := target{kind: kindFile, gun: gun, role: role}
	if m := byChecksum.FindStringSubmatch(role); m != nil {
		t.role, t.sha256 = m[1], m[2]
	} else if m := byVersion.FindStringSubmatch(role); m != nil {
		t.role = m[2]
		t.version, _ = strconv.ParseInt(m[1], 10, 64) // 18 digits fit
	}
	if !data.ValidRole(data.RoleName(t.role)) {
		return target{}, errNotFound
	}
	return t, nil
}
