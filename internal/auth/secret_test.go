package auth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/auth"
)

func TestNewSecret(t *testing.T) {
	a, b := auth.NewSecret("bwr_"), auth.NewSecret("bwr_")
	if a == b || !strings.HasPrefix(a, "bwr_") || len(a) != len("bwr_")+43 {
		t.Errorf("secrets %q and %q", a, b)
	}
	if url.QueryEscape(a) != a {
		t.Errorf("secret %q is not URL-safe", a)
	}
}

func TestSecretMatches(t *testing.T) {
	// echo -n abc | sha256sum
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := auth.HashSecret("abc"); got != abc {
		t.Errorf("HashSecret = %s", got)
	}
	if !auth.SecretMatches(abc, "abc") {
		t.Error("the secret does not match its hash")
	}
	for _, c := range []struct{ hash, secret string }{
		{abc, "abd"}, {abc, ""}, {"", ""}, {"", "abc"}, {abc, abc}, {abc[:63], "abc"}, {strings.ToUpper(abc), "abc"},
	} {
		if auth.SecretMatches(c.hash, c.secret) {
			t.Errorf("SecretMatches(%q, %q)", c.hash, c.secret)
		}
	}
}
