package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	issuer   = "https://registry.example"
	audience = "harbor-registry"
)

func openTokens(t testing.TB, dir string, c *clock) *auth.Tokens {
	t.Helper()
	tokens, err := auth.OpenTokens(dir, auth.TokenOptions{Issuer: issuer, Audience: audience, Now: c.Now})
	check(t, err)
	return tokens
}

func issue(t testing.TB, tokens *auth.Tokens) string {
	t.Helper()
	token, err := tokens.Issue(auth.Claims{Subject: "user:12", Access: []core.Scope{
		{Type: "repository", Name: "library/alpine", Actions: []string{"pull", "push"}}}}, 30*time.Minute)
	check(t, err)
	return token
}

func TestIssueAndVerify(t *testing.T) {
	c := newClock()
	tokens := openTokens(t, t.TempDir(), c)
	token := issue(t, tokens)
	for _, use := range []string{"first", "cached"} {
		claims, err := tokens.Verify(token)
		check(t, err)
		if claims.ID == "" {
			t.Error("the token has no id")
		}
		claims.ID = ""
		want := auth.Claims{Issuer: issuer, Subject: "user:12", Audience: audience,
			IssuedAt: c.Now().Local(), NotBefore: c.Now().Local(), Expiry: c.Now().Local().Add(30 * time.Minute),
			Access: []core.Scope{{Type: "repository", Name: "library/alpine", Actions: []string{"pull", "push"}}}}
		if !reflect.DeepEqual(claims, want) {
			t.Errorf("%s use: claims = %+v, want %+v", use, claims, want)
		}
		claims.Access[0].Actions[0] = "delete" // must not reach the cache
	}
	if tokens.CachedTokens() != 1 {
		t.Errorf("%d tokens cached", tokens.CachedTokens())
	}
	if issue(t, tokens) == token {
		t.Error("two tokens are equal")
	}
}

// The wire form is that of the distribution specification, which clients and
// other registries read.
func TestTokenWireForm(t *testing.T) {
	tokens := openTokens(t, t.TempDir(), newClock())
	token, err := tokens.Issue(auth.Claims{Subject: "anonymous", Access: []core.Scope{{Type: "repository", Name: "a"}}}, time.Minute)
	check(t, err)
	var header, claims map[string]any
	parts := strings.Split(token, ".")
	check(t, json.Unmarshal(decode(t, parts[0]), &header))
	check(t, json.Unmarshal(decode(t, parts[1]), &claims))
	delete(header, "kid")
	if want := map[string]any{"alg": "ES256", "typ": "JWT"}; !reflect.DeepEqual(header, want) {
		t.Errorf("header %v", header)
	}
	delete(claims, "jti")
	want := map[string]any{"iss": issuer, "sub": "anonymous", "aud": audience, "iat": 1769860800.0, "nbf": 1769860800.0,
		"exp": 1769860860.0, "access": []any{map[string]any{"type": "repository", "name": "a", "actions": []any{}}}}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims %v, want %v", claims, want)
	}
}

func TestIssueRefuses(t *testing.T) {
	tokens := openTokens(t, t.TempDir(), newClock())
	for _, c := range []struct {
		subject string
		ttl     time.Duration
	}{{"", time.Minute}, {"user:1", 0}, {"user:1", -time.Hour}, {"user:1", auth.MaxTokenTTL + 1}} {
		if token, err := tokens.Issue(auth.Claims{Subject: c.subject}, c.ttl); err == nil {
			t.Errorf("issued %q for %q, %v", token, c.subject, c.ttl)
		}
	}
	huge := core.Scope{Type: "repository", Name: strings.Repeat("a", 16<<10)}
	_, err := tokens.Issue(auth.Claims{Subject: "user:1", Access: []core.Scope{huge}}, time.Minute)
	wantCode(t, err, core.CodeBadRequest)
}

// Whatever ParseScopes lets through fits in a token, even with its JSON.
func TestLargestScopesFit(t *testing.T) {
	tokens := openTokens(t, t.TempDir(), newClock())
	var scopes []string
	for i := range 100 {
		scopes = append(scopes, fmt.Sprintf("repository:%s%03d:pull,push,*", strings.Repeat("n", 52), i))
	}
	access, err := auth.ParseScopes([]string{strings.Join(scopes, " ")})
	check(t, err)
	token, err := tokens.Issue(auth.Claims{Subject: "user:1", Access: access}, time.Minute)
	check(t, err)
	claims, err := tokens.Verify(token)
	check(t, err)
	if !reflect.DeepEqual(claims.Access, access) {
		t.Error("the access has changed")
	}
	if tokens.CachedTokens() != 0 {
		t.Error("a huge token is cached")
	}
}

func TestTokenTimes(t *testing.T) {
	c := newClock()
	tokens := openTokens(t, t.TempDir(), c)
	token := issue(t, tokens)
	fresh := openTokens(t, t.TempDir(), c)
	freshToken := issue(t, fresh)
	_, err := tokens.Verify(token) // into the cache
	check(t, err)
	c.Advance(30*time.Minute - time.Nanosecond)
	_, err = tokens.Verify(token)
	check(t, err)
	c.Advance(time.Nanosecond)
	_, err = tokens.Verify(token)
	wantCode(t, err, core.CodeUnauthorized)
	_, err = fresh.Verify(freshToken)
	wantCode(t, err, core.CodeUnauthorized)

	c.Advance(-31 * time.Minute) // 60 s before it was issued
	_, err = tokens.Verify(token)
	check(t, err)
	c.Advance(-time.Second)
	_, err = tokens.Verify(token)
	wantCode(t, err, core.CodeUnauthorized)
}

func TestVerifyRefusesOtherServers(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	token := issue(t, openTokens(t, dir, c))
	for _, opts := range []auth.TokenOptions{
		{Issuer: "https://other.example", Audience: audience, Now: c.Now},
		{Issuer: issuer, Audience: "other", Now: c.Now},
	} {
		other, err := auth.OpenTokens(dir, opts) // the same keys
		check(t, err)
		_, err = other.Verify(token)
		wantCode(t, err, core.CodeUnauthorized)
	}
	_, err := openTokens(t, t.TempDir(), c).Verify(token) // other keys
	wantCode(t, err, core.CodeUnauthorized)
}

func TestRotation(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	tokens := openTokens(t, dir, c)
	old := issue(t, tokens)
	check(t, tokens.Rotate())
	check(t, tokens.Rotate()) // in the same second
	if kid(t, issue(t, tokens)) == kid(t, old) {
		t.Error("the old key still signs")
	}
	again := openTokens(t, dir, c)
	if kid(t, issue(t, again)) != kid(t, issue(t, tokens)) {
		t.Error("another key signs after a restart")
	}
	_, err := again.Verify(old)
	check(t, err)
	wantKeys(t, dir, 3)

	c.Advance(auth.MaxTokenTTL + 62*time.Second)
	rotated, err := tokens.RotateIfOld(c.Now())
	if err != nil || rotated {
		t.Errorf("RotateIfOld = %v, %v", rotated, err)
	}
	wantKeys(t, dir, 2) // the last one was retired a second later
	c.Advance(time.Second)
	openTokens(t, dir, c)
	wantKeys(t, dir, 1)
}

func TestRotateIfOld(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	tokens := openTokens(t, dir, c)
	c.Advance(90 * 24 * time.Hour)
	rotated, err := tokens.RotateIfOld(c.Now())
	if err != nil || rotated {
		t.Errorf("after 90 days: %v, %v", rotated, err)
	}
	old, err := tokens.Issue(auth.Claims{Subject: "user:1"}, auth.MaxTokenTTL)
	check(t, err)
	c.Advance(time.Second)
	tokens = openTokens(t, dir, c)
	if kid(t, issue(t, tokens)) == kid(t, old) {
		t.Error("OpenTokens did not rotate a key older than 90 days")
	}
	c.Advance(auth.MaxTokenTTL - 2*time.Second)
	tokens = openTokens(t, dir, c)
	_, err = tokens.Verify(old)
	check(t, err)
	c.Advance(-200 * 24 * time.Hour) // a clock that was wrong: nothing may be lost
	if rotated, err = tokens.RotateIfOld(c.Now()); err != nil || rotated {
		t.Errorf("with a key of the future: %v, %v", rotated, err)
	}
	wantKeys(t, dir, 2)
	check(t, tokens.Rotate())
	if newest := issue(t, tokens); kid(t, newest) <= kid(t, old) {
		t.Error("a key made with the clock back does not sign")
	}
}

func TestKeyFiles(t *testing.T) {
	c, dir := newClock(), filepath.Join(t.TempDir(), "keys", "token")
	openTokens(t, dir, c)
	wantMode(t, dir, os.ModeDir|0o700)
	file := filepath.Join(dir, wantKeys(t, dir, 1)[0])
	wantMode(t, file, 0o600)

	check(t, os.WriteFile(filepath.Join(dir, ".new-123"), []byte("half a k"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o600))
	openTokens(t, dir, c)
	if _, err := os.Stat(filepath.Join(dir, ".new-123")); !os.IsNotExist(err) {
		t.Errorf("the leftover of a crash is still there: %v", err)
	}
	wantKeys(t, dir, 1)
	check(t, os.WriteFile(file, []byte("damaged"), 0o600))
	wantOpenError(t, dir, c, "damaged; restore it")
}

func TestOpenTokensRefusesForeignKeys(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	openTokens(t, dir, c)
	file := filepath.Join(dir, wantKeys(t, dir, 1)[0])
	writeKey(t, file, newPrivate(t)) // under another's name
	wantOpenError(t, dir, c, "another key than its name says")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	writeKey(t, file, p384)
	wantOpenError(t, dir, c, "not a P-256 key")
}

func TestOpenTokensNeedsOptions(t *testing.T) {
	c := newClock()
	for _, opts := range []auth.TokenOptions{{Audience: "a", Now: c.Now}, {Issuer: "i", Now: c.Now}, {Issuer: "i", Audience: "a"}} {
		if _, err := auth.OpenTokens(t.TempDir(), opts); err == nil {
			t.Errorf("opened with %+v", opts)
		}
	}
}

func TestTokensConcurrently(t *testing.T) {
	c := newClock()
	tokens := openTokens(t, t.TempDir(), c)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				token, err := tokens.Issue(auth.Claims{Subject: "user:1"}, time.Minute)
				if err == nil {
					_, err = tokens.Verify(token)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		check(t, tokens.Rotate())
	}
	all.Wait()
}

func decode(t *testing.T, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	check(t, err)
	return b
}

func kid(t *testing.T, token string) string {
	t.Helper()
	var header struct{ Kid string }
	check(t, json.Unmarshal(decode(t, strings.Split(token, ".")[0]), &header))
	return header.Kid
}

func wantKeys(t *testing.T, dir string, want int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	check(t, err)
	if len(files) != want {
		t.Fatalf("%d key files, want %d: %v", len(files), want, files)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

func wantMode(t *testing.T, file string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(file)
	check(t, err)
	if info.Mode() != want {
		t.Errorf("%s has mode %v, want %v", file, info.Mode(), want)
	}
}

func wantOpenError(t *testing.T, dir string, c *clock, want string) {
	t.Helper()
	_, err := auth.OpenTokens(dir, auth.TokenOptions{Issuer: issuer, Audience: audience, Now: c.Now})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("OpenTokens: %v, want %q", err, want)
	}
}

func writeKey(t *testing.T, file string, key crypto.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

func BenchmarkTokenIssue(b *testing.B) {
	tokens := openTokens(b, b.TempDir(), newClock())
	for b.Loop() {
		issue(b, tokens)
	}
}

// Every token is new to the cache: the same Tokens sees 8192 of them in turn,
// twice as many as it keeps.
func BenchmarkTokenVerifyCold(b *testing.B) {
	tokens := openTokens(b, b.TempDir(), newClock())
	many := make([]string, 8192)
	for i := range many {
		many[i] = issue(b, tokens)
	}
	i := 0
	for b.Loop() {
		_, err := tokens.Verify(many[i%len(many)])
		check(b, err)
		i++
	}
}

func BenchmarkTokenVerifyCached(b *testing.B) {
	tokens := openTokens(b, b.TempDir(), newClock())
	token := issue(b, tokens)
	for b.Loop() {
		_, err := tokens.Verify(token)
		check(b, err)
	}
}
