package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/seal"
)

func key(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) + "\n" }

func parse(t *testing.T, text string) *seal.Box {
	t.Helper()
	box, err := seal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestSealAndOpen(t *testing.T) {
	box := parse(t, key(1))
	sealed := box.Seal([]byte("secret"), "here")
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, box.Seal([]byte("secret"), "here")) {
		t.Error("it is not encrypted, or not with a fresh nonce")
	}
	if got, err := box.Open(sealed, "here"); err != nil || string(got) != "secret" {
		t.Errorf("open = %q, %v", got, err)
	}
	if _, err := box.Open(sealed, "there"); err == nil {
		t.Error("it opens in another place")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := box.Open(changed, "here"); err == nil {
			t.Errorf("it opens with byte %d changed", i)
		}
	}
	if _, err := box.Open(nil, "here"); err == nil {
		t.Error("nothing opens")
	}
}

func TestChangeOfTheMasterKey(t *testing.T) {
	old := parse(t, key(1))
	sealed := old.Seal([]byte("secret"), "x")
	if _, err := parse(t, key(2)).Open(sealed, "x"); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("another key: %v, want ErrOtherKey", err)
	}
	both := parse(t, key(2)+"\n"+key(1))
	if got, err := both.Open(sealed, "x"); err != nil || string(got) != "secret" {
		t.Errorf("open with the old key = %q, %v", got, err)
	}
	if both.Current(sealed) || !both.Current(both.Seal(nil, "x")) {
		t.Error("the wrong key seals")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "\n \n", "password", key(1)[:20], key(1) + "x"} {
		if _, err := seal.Parse(text); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%q: %v, want BAD_REQUEST", text, err)
		}
	}
}

func TestOpenFileMakesAKeyOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master")
	first, err := seal.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file = %v, %v", info, err)
	}
	second, err := seal.OpenFile(path)
	if err != nil || !second.Current(first.Seal(nil, "x")) {
		t.Errorf("the second start has another key: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("files = %v, %v", entries, err)
	}
}
