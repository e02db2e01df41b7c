package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// MaxTokenTTL is the longest life that Issue gives a token. Retired keys are
// kept for as long.
const MaxTokenTTL = 24 * time.Hour

const (
	maxTokenBytes  = 16 * 1024
	clockLeeway    = 60 * time.Second
	maxKeyAge      = 90 * 24 * time.Hour
	tokenCacheMax  = 4096
	maxCachedBytes = 2 * 1024 // larger tokens are rare, and are checked each time
)

// Claims are the claims of a registry bearer token
// (https://distribution.github.io/distribution/spec/auth/jwt/). Times are whole
// seconds.
type Claims struct {
	ID        string
	Issuer    string
	Subject   string // kind and id of the account: "user:12", "robot:7", "anonymous"
	Audience  string
	IssuedAt  time.Time
	NotBefore time.Time
	Expiry    time.Time
	Access    []core.Scope
}

// wireClaims is Claims as JSON. Pointers tell an absent time from 1970.
type wireClaims struct {
	ID        string       `json:"jti"`
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  string       `json:"aud"`
	IssuedAt  *int64       `json:"iat"`
	NotBefore *int64       `json:"nbf"`
	Expiry    *int64       `json:"exp"`
	Access    []core.Scope `json:"access"`
}

// TokenOptions say whose tokens are issued and accepted.
type TokenOptions struct {
	Issuer   string           // "iss": who issues, and the only issuer accepted
	Audience string           // "aud": the service, as in the challenge of /v2/
	Now      func() time.Time // the clock
}

// Tokens issues and verifies bearer tokens, signed with ES256. It is safe for
// concurrent use, but only one Tokens may use a folder.
type Tokens struct {
	dir  string
	opts TokenOptions

	rotating sync.Mutex // held while the folder changes
	keys     atomic.Pointer[tokenKeys]

	mu       sync.Mutex
	verified *lru[[sha256.Size]byte, Claims]
}

// OpenTokens reads the signing keys in dir and makes the folder or the first key
// when there is none. It rotates as RotateIfOld does.
func OpenTokens(dir string, opts TokenOptions) (*Tokens, error) {
	if opts.Issuer == "" || opts.Audience == "" || opts.Now == nil {
		return nil, errors.New("tokens: issuer, audience and clock are required")
	}
	if err := prepareKeyDir(dir); err != nil {
		return nil, err
	}
	keys, err := loadTokenKeys(dir)
	if err != nil {
		return nil, err
	}
	t := &Tokens{dir: dir, opts: opts, verified: newLRU[[sha256.Size]byte, Claims](tokenCacheMax)}
	t.keys.Store(&keys)
	if _, err := t.RotateIfOld(opts.Now()); err != nil {
		return nil, err
	}
	return t, nil
}

// Rotate makes a new signing key, durable before it is used. Tokens signed with
// the old one stay valid until they expire.
func (t *Tokens) Rotate() error {
	t.rotating.Lock()
	defer t.rotating.Unlock()
	return t.rotate(t.opts.Now())
}

// RotateIfOld does what Rotate does when the signing key is older than 90 days
// (or there is none), and deletes retired keys that no living token was signed
// with. It is to be called once a day or so, and says whether it rotated.
func (t *Tokens) RotateIfOld(now time.Time) (rotated bool, err error) {
	t.rotating.Lock()
	defer t.rotating.Unlock()
	if newest := t.keys.Load().newest(); newest == nil || now.Sub(newest.created) > maxKeyAge {
		if err := t.rotate(now); err != nil {
			return false, err
		}
		rotated = true
	}
	living, err := removeDeadKeys(t.dir, *t.keys.Load(), now)
	t.keys.Store(&living)
	if err != nil {
		return rotated, fmt.Errorf("remove retired token keys: %w", err)
	}
	return rotated, nil
}

func (t *Tokens) rotate(now time.Time) error {
	keys := *t.keys.Load()
	created := now.UTC().Truncate(time.Second)
	// The ids order the keys, so a new one must be later than all others, even
	// twice in a second or after the clock went back.
	if newest := keys.newest(); newest != nil && !created.After(newest.created) {
		created = newest.created.Add(time.Second)
	}
	key, err := createTokenKey(t.dir, created)
	if err != nil {
		return err
	}
	keys = append(slices.Clone(keys), key)
	t.keys.Store(&keys)
	return nil
}

// Issue makes a token with the subject and the access of claims that is valid
// from now and for ttl, 1 second to MaxTokenTTL. All other claims are set here.
// CodeBadRequest means that so much access does not fit in a token.
func (t *Tokens) Issue(claims Claims, ttl time.Duration) (string, error) {
	if claims.Subject == "" || ttl < time.Second || ttl > MaxTokenTTL {
		return "", fmt.Errorf("tokens: cannot issue a token for subject %q valid for %v", claims.Subject, ttl)
	}
	now := t.opts.Now()
	issued, expiry := now.Unix(), now.Add(ttl).Unix()
	payload, err := json.Marshal(wireClaims{
		ID: rand.Text(), Issuer: t.opts.Issuer, Subject: claims.Subject, Audience: t.opts.Audience,
		IssuedAt: &issued, NotBefore: &issued, Expiry: &expiry, Access: cloneAccess(claims.Access),
	})
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	signed, err := t.keys.Load().newest().signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	if len(token) > maxTokenBytes {
		return "", core.Errorf(core.CodeBadRequest, "a token for so many repositories is too long; ask for fewer at once")
	}
	return token, nil
}

// Verify returns the claims of a token that Issue made and that is valid now.
// Any other is CodeUnauthorized; the cause, for the log, does not quote it. A
// clock that went back by up to a minute makes no difference to "iat" and "nbf";
// "exp" has no leeway. The claims belong to the caller.
func (t *Tokens) Verify(token string) (Claims, error) {
	claims, err := t.verify(token)
	if err != nil {
		return Claims{}, &core.Error{Code: core.CodeUnauthorized,
			Message: "the bearer token is not valid or has expired; ask for a new one or log in again", Err: err}
	}
	claims.Access = cloneAccess(claims.Access)
	return claims, nil
}

// verify looks for the token in the cache first: a signature check costs a
// hundred times more. Times are checked at each use.
func (t *Tokens) verify(token string) (Claims, error) {
	if len(token) > maxTokenBytes {
		return Claims{}, errors.New("token is too long")
	}
	sum := sha256.Sum256([]byte(token))
	claims, cached := t.cached(sum)
	if !cached {
		var err error
		if claims, err = t.check(token); err != nil {
			return Claims{}, err
		}
	}
	if err := checkTimes(claims, t.opts.Now()); err != nil {
		return Claims{}, err
	}
	if !cached && len(token) <= maxCachedBytes {
		t.remember(sum, claims)
	}
	return claims, nil
}

func (t *Tokens) cached(sum [sha256.Size]byte) (Claims, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.verified.get(sum)
}

func (t *Tokens) remember(sum [sha256.Size]byte, claims Claims) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verified.put(sum, claims)
}

// check verifies all of a token but its times.
func (t *Tokens) check(token string) (Claims, error) {
	if !canonical(token) {
		return Claims{}, errors.New("token is not a compact JWS")
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Claims{}, fmt.Errorf("parse token: %w", err)
	}
	key := t.keys.Load().find(signed.Signatures[0].Protected.KeyID)
	if key == nil {
		return Claims{}, errors.New("token names no key of this server")
	}
	payload, err := signed.Verify(key.public)
	if err != nil {
		return Claims{}, fmt.Errorf("verify token: %w", err)
	}
	return t.parseClaims(payload)
}

// canonical says whether token has exactly three parts, each in the one base64
// spelling that Issue would have used. Go's decoder also skips line breaks.
func canonical(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return false
	}
	return !slices.ContainsFunc(parts, func(part string) bool {
		_, err := base64.RawURLEncoding.Strict().DecodeString(part)
		return err != nil || part == ""
	})
}

func (t *Tokens) parseClaims(payload []byte) (Claims, error) {
	var w wireClaims
	if err := json.Unmarshal(payload, &w); err != nil {
		return Claims{}, fmt.Errorf("parse claims: %w", err)
	}
	switch {
	case w.Issuer != t.opts.Issuer:
		return Claims{}, errors.New("token has another issuer")
	case w.Audience != t.opts.Audience:
		return Claims{}, errors.New("token has another audience")
	case w.Subject == "":
		return Claims{}, errors.New("token has no subject")
	case w.IssuedAt == nil || w.NotBefore == nil || w.Expiry == nil:
		return Claims{}, errors.New("token lacks iat, nbf or exp")
	}
	return Claims{ID: w.ID, Issuer: w.Issuer, Subject: w.Subject, Audience: w.Audience,
		IssuedAt: time.Unix(*w.IssuedAt, 0), NotBefore: time.Unix(*w.NotBefore, 0),
		Expiry: time.Unix(*w.Expiry, 0), Access: w.Access}, nil
}

func checkTimes(claims Claims, now time.Time) error {
	soon := now.Add(clockLeeway)
	switch {
	case claims.IssuedAt.After(soon) || claims.NotBefore.After(soon):
		return errors.New("token is not valid yet")
	case !now.Before(claims.Expiry):
		return errors.New("token has expired")
	}
	return nil
}

// cloneAccess copies access so that nobody else can change it, with empty lists
// for absent ones: clients expect [] and not null.
func cloneAccess(access []core.Scope) []core.Scope {
	clone := make([]core.Scope, len(access))
	for i, a := range access {
		a.Actions = append([]string{}, a.Actions...)
		clone[i] = a
	}
	return clone
}
