package blobs

import (
	"path"
	"strings"
	"testing"
	"time"
)

func TestSessionsForgetTheLongestIdle(t *testing.T) {
	table := newSessions(2)
	for _, name := range []string{"a", "b", "a", "c", "d"} {
		s, ok := table.claim(name)
		if !ok {
			t.Fatalf("%s is in use", name)
		}
		s.size = 1
		table.release(s)
	}
	if len(table.byName) != 2 || table.idle.Len() != 2 {
		t.Fatalf("%d sessions, %d idle", len(table.byName), table.idle.Len())
	}
	for name, known := range map[string]bool{"a": false, "b": false, "c": true, "d": true} {
		if s, _ := table.claim(name); (s.size != unknownSize) != known {
			t.Errorf("%s: known is %v, want %v", name, !known, known)
		}
	}
}

// TestExpireLooksAgain has an upload grow between Expire's first look and its
// claim.
func TestExpireLooksAgain(t *testing.T) {
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Begin(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Append(t.Context(), strings.NewReader("x"), -1); err != nil {
		t.Fatal(err)
	}
	u.Release()
	name, _ := uploadName("a/b", u.ID())
	_, removed, err := s.expireOne(t.Context(), path.Join(uploadsDir, name), time.Now().Add(-time.Hour))
	if removed || err != nil {
		t.Fatalf("removed %v, %v", removed, err)
	}
	if u, err = s.Upload(t.Context(), "a/b", u.ID()); err != nil || u.Size() != 1 {
		t.Error(err)
	}
	u.Release()
}
