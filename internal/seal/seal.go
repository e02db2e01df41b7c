// Package seal encrypts the few secrets that the database has to hold, such as
// the signing keys of the trust server, with the master key of the appliance.
// The key is not in the database, so a copy of the database alone opens nothing.
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// A sealed secret is the format's version, the id of its master key, a random
// nonce and the ciphertext of XChaCha20-Poly1305.
const (
	formatVersion = 1
	idSize        = 8
	headSize      = 1 + idSize + chacha20poly1305.NonceSizeX
)

// ErrOtherKey tells that a secret was sealed with a master key that is not here.
var ErrOtherKey = errors.New("sealed with a master key that this registry does not have; add the old key as a second line of the master key")

// Box seals and opens secrets. It is safe for concurrent use.
type Box struct{ keys []masterKey }

type masterKey struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// Parse reads master keys, one a line, each 32 random bytes in base64. The first
// one seals; the others only open what was sealed before the key was changed.
func Parse(text string) (*Box, error) {
	box := &Box{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, err
		}
		box.keys = append(box.keys, key)
	}
	if len(box.keys) == 0 {
		return nil, core.Errorf(core.CodeBadRequest, "the master key is empty; make one with: openssl rand -base64 32")
	}
	return box, nil
}

func parseKey(line string) (key masterKey, err error) {
	secret, err := base64.StdEncoding.DecodeString(line)
	if err != nil || len(secret) != chacha20poly1305.KeySize {
		return key, core.Errorf(core.CodeBadRequest, "a master key must be %d random bytes in base64, one key a line; make one with: openssl rand -base64 32", chacha20poly1305.KeySize)
	}
	sum := sha256.Sum256(append([]byte("breakwater master key\x00"), secret...))
	copy(key.id[:], sum[:])
	key.aead, err = chacha20poly1305.NewX(secret)
	return key, err
}

// OpenFile reads the master key in the file, which is made with a random one
// when it is missing.
func OpenFile(path string) (*Box, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	box, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return box, nil
}

// makeFile writes a new key, durable before anything is sealed with it.
func makeFile(path string) ([]byte, error) {
	secret := make([]byte, chacha20poly1305.KeySize)
	rand.Read(secret)
	text := []byte(base64.StdEncoding.EncodeToString(secret) + "\n")
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(dir, ".new-master-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone after the rename
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return nil, err
	}
	return text, syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts a secret. context says what it is for; it is not kept, and only
// the same context opens it, so that no secret can take the place of another.
func (b *Box) Seal(secret []byte, context string) []byte {
	key := b.keys[0]
	sealed := make([]byte, headSize, headSize+len(secret)+key.aead.Overhead())
	sealed[0] = formatVersion
	copy(sealed[1:], key.id[:])
	nonce := sealed[1+idSize : headSize]
	rand.Read(nonce)
	return key.aead.Seal(sealed, nonce, secret, []byte(context))
}

// Open decrypts what Seal made for the same context. ErrOtherKey means that the
// master key is another one.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != formatVersion {
		return nil, errors.New("this is no sealed secret")
	}
	for _, key := range b.keys {
		if bytes.Equal(key.id[:], sealed[1:1+idSize]) {
			return key.aead.Open(nil, sealed[1+idSize:headSize], sealed[headSize:], []byte(context))
		}
	}
	return nil, ErrOtherKey
}

// Current says whether the secret is sealed with the key that seals now.
func (b *Box) Current(sealed []byte) bool {
	return len(sealed) >= headSize && bytes.Equal(b.keys[0].id[:], sealed[1:1+idSize])
}
