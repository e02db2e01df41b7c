package notary_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/notary/tuf/data"
)

var theTargets = data.CanonicalTargetsRole

// stillReadable checks that a client gets the image that is signed for v1.
func (w *world) stillReadable(t *testing.T, image string) {
	t.Helper()
	found, err := w.client(t, "guest", gun).GetTargetByName("v1")
	if err != nil || fmt.Sprintf("sha256:%x", found.Hashes["sha256"]) != digest(image) {
		t.Errorf("a client finds %+v, %v; want %s", found, err, image)
	}
	wantFacts(t, w, image, "v1 by Repo Admin")
}

func TestReplayOfOldMetadata(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun, data.CanonicalSnapshotRole)
	a.sign("a", "v1", theTargets)
	first := []part{a.root(t, inAYear()), a.targets(t, theTargets, inAYear()), a.snapshot(t, 1)}
	w.upload(t, "dev", gun, first...).accepted(t)
	old := w.get(t, "dev", "/v2/"+gun+"/_trust/tuf/timestamp.json").body
	a.sign("b", "v1", theTargets)
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear()), a.snapshot(t, 2)).accepted(t)
	t.Run("targets", func(t *testing.T) {
		w.upload(t, "dev", gun, first[1], a.snapshot(t, 3)).refused(t, http.StatusBadRequest, "VERSION")
	})
	t.Run("snapshot", func(t *testing.T) { w.upload(t, "dev", gun, first[2]).refused(t, http.StatusBadRequest, "VERSION") })
	t.Run("root", func(t *testing.T) { w.upload(t, "dev", gun, first[0]).refused(t, http.StatusBadRequest, "VERSION") })
	t.Run("all", func(t *testing.T) { w.upload(t, "dev", gun, first...).refused(t, http.StatusBadRequest, "VERSION") })
	t.Run("timestamp", func(t *testing.T) {
		w.upload(t, "dev", gun, part{"timestamp", old}).refused(t, http.StatusBadRequest, "INVALID_ROLE")
	})
	w.stillReadable(t, "b")
}

func TestMixedVersions(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun, data.CanonicalSnapshotRole)
	a.sign("a", "v1", theTargets)
	w.upload(t, "dev", gun, a.root(t, inAYear()), a.targets(t, theTargets, inAYear()), a.snapshot(t, 1)).accepted(t)
	behind := a.snapshot(t, 2) // of the targets before
	a.sign("b", "v1", theTargets)
	ahead := a.targets(t, theTargets, inAYear())
	t.Run("new targets, old snapshot", func(t *testing.T) {
		w.upload(t, "dev", gun, ahead, behind).refused(t, http.StatusBadRequest, "INVALID_UPDATE")
	})
	t.Run("new targets, no snapshot", func(t *testing.T) {
		w.upload(t, "dev", gun, ahead).refused(t, http.StatusBadRequest, "does not hold current snapshot key")
	})
	t.Run("new snapshot, old targets", func(t *testing.T) {
		w.upload(t, "dev", gun, a.snapshot(t, 3)).refused(t, http.StatusBadRequest, "INVALID_UPDATE")
	})
	w.stillReadable(t, "a")
}

// Two files that belong to different repositories, both well signed.
func TestMetadataOfAnotherRepository(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	b := w.newAuthor(t, host+"/p/other")
	root, targets := b.root(t, inAYear()), b.targets(t, theTargets, inAYear())
	w.upload(t, "dev", gun, root, targets).refused(t, http.StatusBadRequest)
	_ = a.targets(t, theTargets, inAYear()) // version 2
	b.sign("evil", "v1", theTargets)
	w.upload(t, "dev", gun, b.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "threshold")
	wantFacts(t, w, "evil")
	// The root's certificate names the repository.
	w.upload(t, "dev", host+"/p/third", root, targets).refused(t, http.StatusBadRequest, "ErrBadRoot")
}

func TestKeyThatIsNotInTheRoot(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	foreign := data.NewBaseRole(theTargets, 1, a.newKey(t, theTargets))
	kept := *a.repo.Root.Signed.Roles[theTargets]
	a.repo.Root.Signed.Keys[foreign.ListKeyIDs()[0]] = foreign.ListKeys()[0]
	a.repo.Root.Signed.Roles[theTargets].KeyIDs = foreign.ListKeyIDs()
	a.sign("evil", "v1", theTargets)
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "ErrBadTargets", "threshold")
	*a.repo.Root.Signed.Roles[theTargets] = kept
	wantFacts(t, w, "evil")
}

func TestThresholdIsNotMet(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	second := a.newKey(t, theTargets)
	role := a.repo.Root.Signed.Roles[theTargets]
	a.repo.Root.Signed.Keys[second.ID()] = second
	role.KeyIDs, role.Threshold = append(role.KeyIDs, second.ID()), 2
	a.sign("a", "v1", theTargets)
	root := a.root(t, inAYear())
	both := a.targets(t, theTargets, inAYear())
	one := a.repo.Targets[theTargets]
	kept := one.Signatures
	one.Signatures = kept[:1]
	signed, err := one.ToSigned()
	w.upload(t, "dev", gun, root, part{"targets", content(t, signed, err)}).refused(t, http.StatusBadRequest, "threshold")
	one.Signatures = []data.Signature{kept[0], kept[0]} // the same twice
	signed, err = one.ToSigned()
	w.upload(t, "dev", gun, root, part{"targets", content(t, signed, err)}).refused(t, http.StatusBadRequest, "threshold")
	wantNoRepository(t, w)
	w.upload(t, "dev", gun, root, both).accepted(t)
	wantFacts(t, w, "a", "v1 by Repo Admin", "v1 by Repo Admin") // one for each key
}

func wantNoRepository(t *testing.T, w *world) {
	t.Helper()
	w.get(t, "dev", "/v2/"+gun+"/_trust/tuf/root.json").refused(t, http.StatusNotFound, "METADATA_NOT_FOUND")
}

func TestRoots(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	a.sign("a", "v1", theTargets)
	targets := a.targets(t, theTargets, inAYear())
	t.Run("expired", func(t *testing.T) {
		b := w.newAuthor(t, gun)
		w.upload(t, "dev", gun, b.root(t, time.Now().Add(-time.Hour)), b.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "expired")
	})
	t.Run("no root", func(t *testing.T) {
		w.upload(t, "dev", gun, targets).refused(t, http.StatusBadRequest, "no pre-existing root")
	})
	t.Run("foreign timestamp key", func(t *testing.T) {
		b := w.newAuthor(t, gun, data.CanonicalTimestampRole)
		w.upload(t, "dev", gun, b.root(t, inAYear()), b.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "timestamp")
	})
	t.Run("expired targets", func(t *testing.T) {
		b := w.newAuthor(t, gun)
		w.upload(t, "dev", gun, b.root(t, inAYear()), b.targets(t, theTargets, time.Now().Add(-time.Hour))).refused(t, http.StatusBadRequest, "expired")
	})
	wantNoRepository(t, w)
	w.upload(t, "dev", gun, a.root(t, inAYear()), targets).accepted(t)
	t.Run("of somebody else", func(t *testing.T) {
		b := w.newAuthor(t, gun)
		b.repo.Root.Signed.Version = 1
		w.upload(t, "dev", gun, b.root(t, inAYear()), b.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest)
		b.repo.Targets[theTargets].Signed.Version = 5
		w.upload(t, "dev", gun, b.root(t, inAYear()), b.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest)
	})
	t.Run("leaves out a version", func(t *testing.T) {
		a.repo.Root.Signed.Version = 2
		w.upload(t, "dev", gun, a.root(t, inAYear())).refused(t, http.StatusBadRequest, "must increment")
		a.repo.Root.Signed.Version = 1
	})
	t.Run("next", func(t *testing.T) { w.upload(t, "dev", gun, a.root(t, inAYear())).accepted(t) })
	w.stillReadable(t, "a")
}

func TestDelegationOutsideItsPaths(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	a.delegate(t, "targets/releases", "rel-")
	a.delegate(t, "targets/releases/deep", "")
	a.sign("evil", "prod", "targets/releases")
	a.sign("good", "rel-1", "targets/releases")
	a.sign("mine", "prod", theTargets)
	a.sign("deep", "prod2", "targets/releases/deep")
	w.upload(t, "dev", gun, a.root(t, inAYear()), a.targets(t, theTargets, inAYear()), a.targets(t, "targets/releases", inAYear()),
		a.targets(t, "targets/releases/deep", inAYear())).accepted(t)
	wantFacts(t, w, "evil")
	wantFacts(t, w, "deep")
	wantFacts(t, w, "good", "rel-1 by releases")
	wantFacts(t, w, "mine", "prod by Repo Admin")
}

func TestDelegationThatNobodyMade(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	a.delegate(t, "targets/evil", "")
	evil := a.targets(t, "targets/evil", inAYear())
	w.upload(t, "dev", gun, evil).refused(t, http.StatusBadRequest, "delegation does not exist")
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear()), evil).accepted(t)
	w.upload(t, "dev", gun, a.targets(t, "targets/evil", time.Now().Add(-time.Minute))).refused(t, http.StatusBadRequest, "expired")
}

func TestForgedRoleNames(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	next := a.targets(t, theTargets, inAYear()).content
	for _, name := range []string{"targets/../root", "../root", "root/../targets", "targets/", "targets//a", "TARGETS", "targets/A", "targets/é",
		"targets/a.b", "targets/" + strings.Repeat("a", 300), "mirror", "/targets", "targets\\..\\root", ".json", "timestamp.json", "targets/a/../../root"} {
		w.upload(t, "dev", gun, part{name, next}).refused(t, http.StatusBadRequest)
		path := "/v2/" + gun + "/_trust/tuf/" + strings.NewReplacer("\\", "%5C", "é", "%C3%A9").Replace(name) + ".json"
		if res := w.get(t, "dev", path); res.status == http.StatusOK {
			t.Errorf("GET %s: %d", path, res.status)
		}
	}
	w.upload(t, "dev", gun, part{"targets", next}, part{"targets.json", next}).refused(t, http.StatusBadRequest, "twice")
	w.upload(t, "dev", gun, part{"targets.json", next}).accepted(t)
}

func TestOversizedAndMalformedUploads(t *testing.T) {
	w := newWorld(t)
	a := w.published(t, gun)
	next := a.targets(t, theTargets, inAYear()).content
	many := bytes.Replace(next, []byte(`"signatures":[`), []byte(`"signatures":[`+strings.Repeat(`{"keyid":"a","method":"ecdsa","sig":"AAAA"},`, 100)), 1)
	for name, test := range map[string]struct {
		content []byte
		status  int
	}{
		"too large":            {bytes.Repeat([]byte(" "), 9<<20), http.StatusRequestEntityTooLarge},
		"nested too deep":      {[]byte(strings.Repeat("[", 1<<20)), http.StatusBadRequest},
		"nested object":        {[]byte(strings.Repeat(`{"signed":`, 1<<18)), http.StatusBadRequest},
		"no JSON":              {[]byte("x"), http.StatusBadRequest},
		"empty":                {nil, http.StatusBadRequest},
		"null":                 {[]byte("null"), http.StatusBadRequest},
		"signed is null":       {[]byte(`{"signed":null,"signatures":[]}`), http.StatusBadRequest},
		"signed twice":         {[]byte(`{"signed":{"_type":"Targets","version":9},"Signed":null,"signatures":[]}`), http.StatusBadRequest},
		"null delegation":      {[]byte(`{"signed":{"_type":"Targets","version":9,"expires":"2099-01-01T00:00:00Z","targets":{},"delegations":{"keys":{},"roles":[null]}},"signatures":[]}`), http.StatusBadRequest},
		"no signature":         {[]byte(`{"signed":{"_type":"Targets","version":9,"expires":"2099-01-01T00:00:00Z","targets":{}},"signatures":[]}`), http.StatusBadRequest},
		"version 0":            {[]byte(`{"signed":{"_type":"Targets","version":0},"signatures":[]}`), http.StatusBadRequest},
		"huge version":         {[]byte(`{"signed":{"_type":"Targets","version":9223372036854775807},"signatures":[]}`), http.StatusBadRequest},
		"hundred signatures":   {many, http.StatusBadRequest},
		"something behind it":  {append(bytes.Clone(next), "{}"...), http.StatusBadRequest},
		"a key without bounds": {[]byte(`{"signed":{"_type":"Targets","version":9,"delegations":{"keys":{"a":{"keytype":"rsa","keyval":{"public":"` + strings.Repeat("A", 32<<10) + `"}}},"roles":[]}},"signatures":[]}`), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) { w.upload(t, "dev", gun, part{"targets", test.content}).refused(t, test.status) })
	}
	w.upload(t, "dev", gun).refused(t, http.StatusBadRequest, "MALFORMED_UPLOAD")
	w.do(t, basic{"dev"}, "POST", "/v2/"+gun+"/_trust/tuf/", "application/json", strings.NewReader("{}")).refused(t, http.StatusBadRequest, "MALFORMED_UPLOAD")
	w.upload(t, "dev", gun, part{"targets", next}).accepted(t)
}

// White space changes nothing of what is signed, but all of what is hashed: the
// bytes stay as they came.
func TestBytesStayAsTheyCame(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	a.sign("a", "v1", theTargets)
	targets := a.targets(t, theTargets, inAYear())
	targets.content = append([]byte("\n  "), targets.content...)
	w.upload(t, "dev", gun, a.root(t, inAYear()), targets).accepted(t)
	w.stillReadable(t, "a")
}

func TestNamesOfOthers(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		who, gun string
		status   int
	}{
		{"dev", "evil.example.com/p/app", http.StatusBadRequest},
		{"dev", "registry.example.com/p/app", http.StatusBadRequest}, // without the port
		{"dev", host + "/q/app", http.StatusForbidden},
		{"dev", host + "/nowhere/app", http.StatusForbidden},
		{"stranger", gun, http.StatusForbidden},
		{"", gun, http.StatusUnauthorized},
		{"dev", host + "/p", http.StatusBadRequest},
		{"dev", host + "/p/../q/app", http.StatusBadRequest},
		{"dev", host + "/p/APP", http.StatusBadRequest},
	} {
		w.get(t, test.who, "/v2/"+test.gun+"/_trust/tuf/timestamp.key").refused(t, test.status)
		w.upload(t, test.who, test.gun, part{"root", []byte("{}")}).refused(t, test.status)
		w.get(t, test.who, "/v2/"+test.gun+"/_trust/tuf/root.json").refused(t, test.status)
	}
	w.get(t, "dev", "/v2/"+strings.Replace(gun, "/p/", "%2Fp/", 1)+"/_trust/tuf/root.json").refused(t, http.StatusNotFound)
}

// A tag that moves after it was signed is not signed: the signature is for what
// it named then.
func TestTagThatMovesAfterSigning(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	a.sign("signed", "v1", theTargets)
	w.upload(t, "dev", gun, a.root(t, inAYear()), a.targets(t, theTargets, inAYear())).accepted(t)
	wantFacts(t, w, "signed", "v1 by Repo Admin")
	wantFacts(t, w, "pushed later under v1")
}

func TestThousandsOfDelegations(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	const n = 2000
	key := a.newKey(t, "targets/d0")
	parent := a.repo.Targets[theTargets]
	parent.Signed.Delegations.Keys[key.ID()] = key
	parts := []part{}
	for i := range n {
		role, err := data.NewRole(data.RoleName(fmt.Sprintf("targets/d%d", i)), 1, []string{key.ID()}, []string{""})
		must(t, err)
		parent.Signed.Delegations.Roles = append(parent.Signed.Delegations.Roles, role)
		_, err = a.repo.InitTargets(role.Name)
		must(t, err)
	}
	a.sign("a", "v1", theTargets)
	a.sign("a", "v1", "targets/d7")
	parts = append(parts, a.root(t, inAYear()), a.targets(t, theTargets, inAYear()))
	private, _, err := a.keys.GetPrivateKey(key.ID())
	must(t, err)
	for i := range n { // signed without the packages' walk, which looks at all siblings of each
		name := data.RoleName(fmt.Sprintf("targets/d%d", i))
		meta := a.repo.Targets[name]
		meta.Signed.Version, meta.Signed.Expires = 1, inAYear()
		signed, err := meta.ToSigned()
		must(t, err)
		sum, err := private.Sign(rand.Reader, *signed.Signed, nil)
		must(t, err)
		signed.Signatures = []data.Signature{{KeyID: key.ID(), Method: data.ECDSASignature, Signature: sum}}
		parts = append(parts, part{string(name), content(t, signed, nil)})
	}
	w.upload(t, "dev", gun, parts...).accepted(t)
	if got := w.facts(t, "a"); len(got) != 2 {
		t.Errorf("facts = %q, want two signers", got)
	}
	for i := range 4000 { // more than the limit
		role, err := data.NewRole(data.RoleName(fmt.Sprintf("targets/e%d", i)), 1, []string{key.ID()}, []string{""})
		must(t, err)
		parent.Signed.Delegations.Roles = append(parent.Signed.Delegations.Roles, role)
	}
	w.upload(t, "dev", gun, a.targets(t, theTargets, inAYear())).refused(t, http.StatusBadRequest, "delegates to more than")
}

func TestConcurrentPublishers(t *testing.T) {
	w := newWorld(t)
	a := w.newAuthor(t, gun)
	roles := []data.RoleName{}
	for i := range 8 {
		role := data.RoleName(fmt.Sprintf("targets/s%d", i))
		a.delegate(t, role, "")
		roles = append(roles, role)
	}
	w.upload(t, "dev", gun, a.root(t, inAYear()), a.targets(t, theTargets, inAYear())).accepted(t)
	parts := make([]part, len(roles))
	for i, role := range roles {
		a.sign("x", fmt.Sprintf("v%d", i), role)
		parts[i] = a.targets(t, role, inAYear())
	}
	var group sync.WaitGroup
	for _, p := range parts {
		group.Go(func() {
			if res := w.upload(t, "dev", gun, p); res.status != http.StatusOK {
				t.Errorf("%s: %d %s", p.name, res.status, res.body)
			}
		})
	}
	group.Wait()
	list, err := w.client(t, "guest", gun).ListTargets()
	if err != nil || len(list) != len(roles) {
		t.Errorf("targets = %v, %v, want %d", list, err, len(roles))
	}
}
