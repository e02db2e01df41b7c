package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestVerifyRefusesForgeries(t *testing.T) {
	f := newForger(t)
	_, err := f.tokens.Verify(f.sign(f.claims))
	check(t, err) // the forger signs well; only what it changes is refused
	parts := strings.Split(f.sign(f.claims), ".")
	header, payload, signature := parts[0], parts[1], parts[2]
	token := f.sign(f.claims)
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	forgeries := map[string]string{
		"empty":              "",
		"dots":               "..",
		"alg none":           text(`{"alg":"none","kid":"`+f.kid+`"}`) + "." + payload + ".",
		"alg none, signed":   text(`{"alg":"none","kid":"`+f.kid+`"}`) + "." + payload + "." + signature,
		"HS256, public key":  f.hmac(),
		"ES384 in header":    text(`{"alg":"ES384","kid":"`+f.kid+`"}`) + "." + payload + "." + signature,
		"unknown kid":        f.signAs("20260131T120000Z-0000000000000000", f.private, f.claims),
		"no kid":             f.signAs("", f.private, f.claims),
		"kid is a path":      f.signAs("../../../etc/ssl/private/key", f.private, f.claims),
		"kid is a file name": f.signAs(f.kid+".pem", f.private, f.claims),
		"own key in jwk":     f.embedded(),
		"other key":          f.signAs(f.kid, newPrivate(t), f.claims),
		"tampered payload":   header + "." + text(strings.Replace(string(decode(t, payload)), "user:12", "user:1", 1)) + "." + signature,
		"no signature":       header + "." + payload + ".",
		"zero signature":     header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"short signature":    header + "." + payload + "." + signature[:40],
		"trailing garbage":   token + "A",
		"trailing dot":       token + ".",
		"trailing space":     token + " ",
		"leading space":      " " + token,
		"line break":         header + "." + payload + "\n." + signature,
		"padding":            token + "==",
		"concatenated":       token + token,
		"concatenated, dot":  token + "." + token,
		"other spelling":     token[:len(token)-1] + otherSpelling(token[len(token)-1]),
		"json serialization": `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`,
		"too long":           f.signRaw(strings.Repeat(" ", 12<<10) + string(decode(t, payload))),
		"payload not JSON":   f.signRaw("hello"),
		"two payloads":       f.signRaw(string(decode(t, payload)) + "{}"),
	}
	for name, forged := range forgeries {
		t.Run(name, func(t *testing.T) {
			claims, err := f.tokens.Verify(forged)
			wantCode(t, err, core.CodeUnauthorized)
			if !reflect.DeepEqual(claims, auth.Claims{}) {
				t.Errorf("claims %+v", claims)
			}
		})
	}
}

// Tokens with a right signature over wrong claims.
func TestVerifyRefusesClaims(t *testing.T) {
	f := newForger(t)
	now := f.claims["iat"].(int64)
	for name, change := range map[string]func(map[string]any){
		"no iat":             func(c map[string]any) { delete(c, "iat") },
		"no nbf":             func(c map[string]any) { delete(c, "nbf") },
		"no exp":             func(c map[string]any) { delete(c, "exp") },
		"null exp":           func(c map[string]any) { c["exp"] = nil },
		"exp is text":        func(c map[string]any) { c["exp"] = "2099-01-01" },
		"exp is now":         func(c map[string]any) { c["exp"] = now },
		"iat in the future":  func(c map[string]any) { c["iat"] = now + 61 },
		"nbf in the future":  func(c map[string]any) { c["nbf"] = now + 61 },
		"no issuer":          func(c map[string]any) { delete(c, "iss") },
		"other issuer":       func(c map[string]any) { c["iss"] = issuer + "/" },
		"no audience":        func(c map[string]any) { delete(c, "aud") },
		"other audience":     func(c map[string]any) { c["aud"] = "notary" },
		"many audiences":     func(c map[string]any) { c["aud"] = []string{audience, "notary"} },
		"no subject":         func(c map[string]any) { c["sub"] = "" },
		"access is a string": func(c map[string]any) { c["access"] = "*" },
	} {
		t.Run(name, func(t *testing.T) {
			claims := maps.Clone(f.claims)
			change(claims)
			_, err := f.tokens.Verify(f.sign(claims))
			wantCode(t, err, core.CodeUnauthorized)
		})
	}
}

// forger holds the real private key and signs whatever a test wants.
type forger struct {
	t       *testing.T
	tokens  *auth.Tokens
	kid     string
	private *ecdsa.PrivateKey
	claims  map[string]any
}

func newForger(t *testing.T) *forger {
	c, dir := newClock(), t.TempDir()
	tokens := openTokens(t, dir, c)
	name := wantKeys(t, dir, 1)[0]
	content, err := os.ReadFile(filepath.Join(dir, name))
	check(t, err)
	block, _ := pem.Decode(content)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	check(t, err)
	now := c.Now().Unix()
	return &forger{t: t, tokens: tokens, kid: strings.TrimSuffix(name, ".pem"), private: private.(*ecdsa.PrivateKey),
		claims: map[string]any{"iss": issuer, "sub": "user:12", "aud": audience, "iat": now, "nbf": now, "exp": now + 60,
			"access": []core.Scope{}}}
}

func (f *forger) sign(claims map[string]any) string { return f.signAs(f.kid, f.private, claims) }

func (f *forger) signAs(kid string, key *ecdsa.PrivateKey, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	check(f.t, err)
	return f.jws(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, payload, nil)
}

func (f *forger) signRaw(payload string) string {
	return f.jws(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: f.private, KeyID: f.kid}}, []byte(payload), nil)
}

// hmac signs with the public key as the secret of HS256 (CVE-2015-9235).
func (f *forger) hmac() string {
	der, err := x509.MarshalPKIXPublicKey(f.private.Public())
	check(f.t, err)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	payload, err := json.Marshal(f.claims)
	check(f.t, err)
	return f.jws(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: secret, KeyID: f.kid}}, payload, nil)
}

// embedded signs with a key of its own and sends that key along (CVE-2018-0114).
func (f *forger) embedded() string {
	payload, err := json.Marshal(f.claims)
	check(f.t, err)
	options := (&jose.SignerOptions{EmbedJWK: true}).WithHeader("kid", f.kid)
	return f.jws(jose.SigningKey{Algorithm: jose.ES256, Key: newPrivate(f.t)}, payload, options)
}

func (f *forger) jws(key jose.SigningKey, payload []byte, options *jose.SignerOptions) string {
	signer, err := jose.NewSigner(key, options)
	check(f.t, err)
	signed, err := signer.Sign(payload)
	check(f.t, err)
	token, err := signed.CompactSerialize()
	check(f.t, err)
	return token
}

func newPrivate(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

// otherSpelling changes the unused low bits of the last base64 character.
func otherSpelling(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, last)|1])
}
