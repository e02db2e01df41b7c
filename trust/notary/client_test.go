package notary_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/theupdateframework/notary/client"
	"github.com/theupdateframework/notary/tuf/data"

	"github.com/breakwater-registry/breakwater/internal/core"
	trust "github.com/breakwater-registry/breakwater/trust/notary"
)

func wantFacts(t *testing.T, w *world, image string, want ...string) {
	t.Helper()
	if got := w.facts(t, image); !slices.Equal(got, want) {
		t.Errorf("facts about %s = %q, want %q", image, got, want)
	}
}

func TestClientSignsAndRevokes(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	r := w.clientIn(t, dir, "dev", gun)
	initialize(t, r, data.CanonicalSnapshotRole)
	must(t, r.AddTarget(target("v1", "a"), data.CanonicalTargetsRole))
	publish(t, r)
	wantFacts(t, w, "a", "v1 by Repo Admin")
	must(t, r.AddTarget(target("v1", "b"), data.CanonicalTargetsRole))
	must(t, r.AddTarget(target("not/a:tag", "c"), data.CanonicalTargetsRole))
	publish(t, r)
	wantFacts(t, w, "a")
	wantFacts(t, w, "b", "v1 by Repo Admin")
	wantFacts(t, w, "c")
	found, err := w.client(t, "guest", gun).GetTargetByName("v1")
	if err != nil || found.Role != data.CanonicalTargetsRole {
		t.Errorf("another client finds %+v, %v", found, err)
	}
	must(t, r.RemoveTarget("v1", data.CanonicalTargetsRole))
	publish(t, r)
	wantFacts(t, w, "b")
}

// Docker reads targets/releases before targets, and no other delegation.
func TestSignersAndReleases(t *testing.T) {
	w := newWorld(t)
	r := w.client(t, "dev", gun)
	initialize(t, r, data.CanonicalSnapshotRole)
	alice := newSigner(t, r, "targets/alice")
	must(t, r.AddDelegation("targets/alice", []data.PublicKey{alice}, []string{""}))
	must(t, r.AddDelegation("targets/releases", []data.PublicKey{alice}, []string{""}))
	publish(t, r)
	must(t, r.AddTarget(target("v1", "a"), "targets/alice"))
	publish(t, r)
	wantFacts(t, w, "a") // not released
	must(t, r.AddTarget(target("v1", "a"), "targets/releases"))
	must(t, r.AddTarget(target("v1", "b"), data.CanonicalTargetsRole)) // stands back
	publish(t, r)
	wantFacts(t, w, "a", "v1 by alice")
	wantFacts(t, w, "b")
	must(t, r.RemoveDelegationKeys("targets/releases", []string{alice.ID()}))
	must(t, r.RemoveDelegationRole("targets/alice"))
	publish(t, r)
	wantFacts(t, w, "a")
	wantFacts(t, w, "b", "v1 by Repo Admin")
	view, err := w.app.RepositoryTrust(t.Context(), admin, "p/app")
	if core.IsNotFound(err) {
		return // nothing was pushed: the repository is not published
	}
	t.Errorf("trust = %+v, %v", view, err)
}

func newSigner(t *testing.T, r client.Repository, role data.RoleName) data.PublicKey {
	t.Helper()
	key, err := r.GetCryptoService().Create(role, r.GetGUN(), data.ECDSAKey)
	must(t, err)
	return key
}

func TestClientRotatesAndDeletes(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	r := w.clientIn(t, dir, "maintainer", gun)
	initialize(t, r, data.CanonicalSnapshotRole)
	must(t, r.AddTarget(target("v1", "a"), data.CanonicalTargetsRole))
	publish(t, r)
	before := w.serverKey(t, gun, data.CanonicalTimestampRole).ID()
	for _, rotation := range []struct {
		role   data.RoleName
		server bool
	}{{data.CanonicalTimestampRole, true}, {data.CanonicalSnapshotRole, true}, {data.CanonicalSnapshotRole, false}, {data.CanonicalTargetsRole, false},
		{data.CanonicalRootRole, false}, {data.CanonicalSnapshotRole, true}} {
		if err := r.RotateKey(rotation.role, rotation.server, nil); err != nil {
			t.Fatalf("rotate %+v: %v", rotation, err)
		}
		if _, err := w.client(t, "guest", gun).GetTargetByName("v1"); err != nil {
			t.Errorf("after %+v a new client: %v", rotation, err)
		}
	}
	if after := w.serverKey(t, gun, data.CanonicalTimestampRole).ID(); after == before {
		t.Error("the timestamp key is the old one")
	}
	wantFacts(t, w, "a", "v1 by Repo Admin")
	must(t, client.DeleteTrustData(dir, data.GUN(gun), w.server.URL, basic{"maintainer"}, true))
	wantFacts(t, w, "a")
	w.get(t, "dev", "/v2/"+gun+"/_trust/tuf/root.json").refused(t, http.StatusNotFound)
	again := w.client(t, "dev", gun)
	initialize(t, again, data.CanonicalSnapshotRole)
	publish(t, again)
}

// What the registry signs is signed again in time, whoever asks, and once.
func TestTimestampIsSignedAgain(t *testing.T) {
	w := newWorldWith(t, trust.Lives{Timestamp: 2 * time.Second, Snapshot: 4 * time.Second})
	r := w.client(t, "dev", gun)
	initialize(t, r, data.CanonicalSnapshotRole)
	must(t, r.AddTarget(target("v1", "a"), data.CanonicalTargetsRole))
	publish(t, r)
	version := func(role string) int {
		a := w.get(t, "guest", "/v2/"+gun+"/_trust/tuf/"+role+".json")
		a.accepted(t)
		var m data.SignedMeta
		must(t, json.Unmarshal(a.body, &m))
		if m.Signed.Expires.Before(time.Now()) {
			t.Errorf("the %s is expired", role)
		}
		return m.Signed.Version
	}
	first, deadline := version("timestamp"), time.Now().Add(20*time.Second)
	for version("timestamp") == first || version("snapshot") == 1 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was signed again")
		}
		time.Sleep(50 * time.Millisecond) // time has to pass
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := w.client(t, "guest", gun).GetTargetByName("v1"); err != nil {
				t.Errorf("a client at the same time: %v", err)
			}
		})
	}
	group.Wait()
	wantFacts(t, w, "a", "v1 by Repo Admin")
}
