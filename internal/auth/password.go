package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// What one password hash costs: the second recommended choice of OWASP's
// password storage cheat sheet, about 20 to 30 ms of one core.
const (
	hashMemory  = 19 * 1024 // KiB
	hashTime    = 2
	hashThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// Limits of password hashing. Slots bound memory (19 MiB each), the queue bounds
// the requests that wait for a slot to a few seconds' worth of work.
const (
	hashSlots        = 2
	hashQueue        = 512
	minPasswordChars = 8
	maxPasswordChars = 128
	maxPasswordBytes = maxPasswordChars * utf8.UTFMax
)

var errQueueFull = errors.New("too many password checks are waiting")

// Passwords hashes and verifies passwords with argon2id, at most two at a time.
type Passwords struct {
	slots   chan struct{}
	waiting atomic.Int64
	nobody  string // a hash that no password has
}

// NewPasswords makes a Passwords.
func NewPasswords() *Passwords {
	nobody := phc{memory: hashMemory, time: hashTime, threads: hashThreads,
		salt: randomBytes(saltBytes), key: randomBytes(keyBytes)}
	return &Passwords{slots: make(chan struct{}, hashSlots), nobody: nobody.String()}
}

// Hash returns the argon2id hash of password with a fresh salt, in the PHC
// string format. A password that breaks the rule of CheckPassword gives that
// error; CodeUnavailable means that ctx ended, or too many wait, before its turn.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	h := phc{memory: hashMemory, time: hashTime, threads: hashThreads,
		salt: randomBytes(saltBytes), key: make([]byte, keyBytes)}
	key, err := p.derive(ctx, h, password)
	if err != nil {
		return "", err
	}
	h.key = key
	return h.String(), nil
}

// Verify says whether password has the hash encoded, as made by Hash. An error
// means that nobody knows: CodeUnavailable as for Hash, anything else that
// encoded is not a hash this product writes.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (ok bool, err error) {
	h, err := parsePHC(encoded)
	if err != nil {
		return false, err
	}
	// No account can have so long a password, so answering at once tells
	// nothing about this one.
	if len(password) > maxPasswordBytes {
		return false, nil
	}
	key, err := p.derive(ctx, h, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

// VerifyNobody is Verify for an account that does not exist or has no password:
// it costs the same time and fails with the same errors, so that an answer does
// not tell which accounts exist. Without an error the password is still wrong.
func (p *Passwords) VerifyNobody(ctx context.Context, password string) error {
	_, err := p.Verify(ctx, p.nobody, password)
	return err
}

// derive computes the key of password under the parameters and salt of h.
func (p *Passwords) derive(ctx context.Context, h phc, password string) ([]byte, error) {
	if err := p.enter(ctx); err != nil {
		return nil, &core.Error{Code: core.CodeUnavailable,
			Message: "the server is busy checking passwords; try again in a few seconds", Err: err}
	}
	defer func() { <-p.slots }()
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key))), nil
}

// enter waits for a slot. A context that has ended never gets one.
func (p *Passwords) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > hashQueue {
		return errQueueFull
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CheckPassword tells whether password may be chosen: Harbor's rule (8 to 128
// characters with an uppercase letter, a lowercase letter and a number), valid
// UTF-8 and no control characters. The error is CodeBadRequest.
func CheckPassword(password string) error {
	// The byte length first, so that a megabyte is not scanned.
	if len(password) > maxPasswordBytes || !utf8.ValidString(password) || !obeysRule(password) {
		return core.Errorf(core.CodeBadRequest, "the password must be %d to %d characters long with at least "+
			"1 uppercase letter, 1 lowercase letter and 1 number", minPasswordChars, maxPasswordChars)
	}
	if strings.ContainsFunc(password, unicode.IsControl) {
		return core.Errorf(core.CodeBadRequest, "the password must not contain control characters such as line breaks; choose another")
	}
	return nil
}

func obeysRule(password string) bool {
	chars := utf8.RuneCountInString(password)
	return chars >= minPasswordChars && chars <= maxPasswordChars &&
		strings.ContainsFunc(password, unicode.IsUpper) &&
		strings.ContainsFunc(password, unicode.IsLower) &&
		strings.ContainsFunc(password, unicode.IsDigit)
}

// The characters of random passwords: none that are confused on a console.
const (
	clearUpper = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	clearLower = "abcdefghijkmnpqrstuvwxyz"
	clearDigit = "23456789"

	randomPasswordChars = 24
)

// RandomPassword returns a password of 24 characters, more than 128 bits of
// chance, that obeys CheckPassword and has no characters that look alike (0 and
// O, 1 and l and I).
func RandomPassword() string {
	dice := mathrand.New(systemRandom{})
	password := make([]byte, 0, randomPasswordChars)
	for _, class := range []string{clearUpper, clearLower, clearDigit} {
		password = append(password, class[dice.IntN(len(class))])
	}
	const all = clearUpper + clearLower + clearDigit
	for len(password) < randomPasswordChars {
		password = append(password, all[dice.IntN(len(all))])
	}
	dice.Shuffle(len(password), func(i, j int) { password[i], password[j] = password[j], password[i] })
	return string(password)
}

// systemRandom lends math/rand/v2's unbiased IntN and Shuffle the system's
// cryptographic random numbers.
type systemRandom struct{}

// Uint64 returns 64 random bits.
func (systemRandom) Uint64() uint64 { return binary.NativeEndian.Uint64(randomBytes(8)) }

// randomBytes returns n bytes from the system; crypto/rand.Read never fails.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// phc is an argon2id hash in the PHC string format
// (https://github.com/P-H-C/phc-string-format).
type phc struct {
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, key    []byte
}

// String encodes the hash.
func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parsePHC decodes what String encodes and nothing else. The hash comes from
// the database; the bounds keep a damaged row from taking all memory.
func parsePHC(encoded string) (phc, error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 {
		return phc{}, errors.New("password hash: not a PHC string")
	}
	var h phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return phc{}, fmt.Errorf("password hash: parameters: %w", err)
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(parts[5])
	if err := errors.Join(saltErr, keyErr); err != nil {
		return phc{}, fmt.Errorf("password hash: %w", err)
	}
	if !h.withinBounds() || h.String() != encoded {
		return phc{}, errors.New("password hash: not an argon2id hash of this product")
	}
	return h, nil
}

func (h phc) withinBounds() bool {
	between := func(n, low, high int) bool { return low <= n && n <= high }
	return between(int(h.memory), 8, 64*1024) && between(int(h.time), 1, 10) && between(int(h.threads), 1, 4) &&
		between(len(h.salt), 8, 64) && between(len(h.key), 16, 64)
}
