package auth_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
)

func TestRemembered(t *testing.T) {
	c := newClock()
	r := auth.NewRemembered(c.Now)
	if r.Knows("user:1", "secret") {
		t.Error("knows what nobody remembered")
	}
	r.Remember("user:1", "secret")
	if !r.Knows("user:1", "secret") {
		t.Error("forgot at once")
	}
	for _, other := range [][2]string{{"user:1", "Secret"}, {"user:1", ""}, {"user:2", "secret"}, {"user:1s", "ecret"}} {
		if r.Knows(other[0], other[1]) {
			t.Errorf("knows %v", other)
		}
	}
	c.Advance(59 * time.Second)
	if !r.Knows("user:1", "secret") {
		t.Error("forgot too early")
	}
	c.Advance(time.Second)
	if r.Knows("user:1", "secret") {
		t.Error("still knows after 60 s: being asked must not prolong")
	}
}

func TestRememberedForgets(t *testing.T) {
	c := newClock()
	r := auth.NewRemembered(c.Now)
	r.Remember("user:1", "old")
	r.Remember("user:2", "other")
	r.Forget("user:1")
	if r.Knows("user:1", "old") || r.Knows("user:1", "") || !r.Knows("user:2", "other") {
		t.Error("Forget forgets one account")
	}
	// A request that verified the old password before the change.
	r.Remember("user:1", "old")
	if r.Knows("user:1", "old") {
		t.Error("a verification that raced with Forget is remembered")
	}
	c.Advance(60 * time.Second)
	r.Remember("user:1", "new")
	if !r.Knows("user:1", "new") {
		t.Error("does not remember again after 60 s")
	}
}

func TestRememberedIsBounded(t *testing.T) {
	r := auth.NewRemembered(newClock().Now)
	for i := range auth.RememberedMax + 1 {
		r.Remember(fmt.Sprintf("user:%d", i), "secret")
	}
	if r.Knows("user:0", "secret") || !r.Knows("user:1", "secret") || !r.Knows(fmt.Sprintf("user:%d", auth.RememberedMax), "secret") {
		t.Error("the oldest entry, and only that, must go")
	}
}

// What is held of a secret cannot be computed, nor compared, outside the process.
func TestRememberedHasAKeyOfItsOwn(t *testing.T) {
	a, b := auth.NewRemembered(newClock().Now), auth.NewRemembered(newClock().Now)
	if a.MAC("user:1", "secret") == b.MAC("user:1", "secret") {
		t.Error("two processes have the same key")
	}
	if a.MAC("user:1", "secret") == a.MAC("user:1s", "ecret") {
		t.Error("the border between account and secret is not covered")
	}
}
