package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	keyFileSuffix = ".pem"
	keyTempPrefix = ".new-"
	keyTimeFormat = "20060102T150405Z"
	keyPEMType    = "PRIVATE KEY" // PKCS #8
)

// tokenKey is one signing key. Its id is the time it was made and a fingerprint,
// "20260131T120000Z-0123456789abcdef", and is also the name of its file. So the
// folder listing tells which key signs (the newest) and since when each other
// one has been retired (the time of the next), and nothing else needs storing.
type tokenKey struct {
	id      string
	created time.Time
	public  *ecdsa.PublicKey
	signer  jose.Signer
}

// tokenKeys are all keys, oldest first; the last one signs.
type tokenKeys []*tokenKey

// find returns the key with this id, or nil.
func (keys tokenKeys) find(id string) *tokenKey {
	for _, key := range keys {
		if key.id == id {
			return key
		}
	}
	return nil
}

// newest returns the signing key, or nil when there is none.
func (keys tokenKeys) newest() *tokenKey {
	if len(keys) == 0 {
		return nil
	}
	return keys[len(keys)-1]
}

// newTokenKey prepares a private key for use under its id.
func newTokenKey(private *ecdsa.PrivateKey, created time.Time) (*tokenKey, error) {
	id, err := tokenKeyID(&private.PublicKey, created)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("token key %s: %w", id, err)
	}
	return &tokenKey{id: id, created: created, public: &private.PublicKey, signer: signer}, nil
}

func tokenKeyID(public *ecdsa.PublicKey, created time.Time) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("token key: %w", err)
	}
	sum := sha256.Sum256(der)
	return fmt.Sprintf("%s-%x", created.UTC().Format(keyTimeFormat), sum[:8]), nil
}

// prepareKeyDir makes dir, for its owner only, and tidies it.
func prepareKeyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("token keys: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("token keys: %w", err)
	}
	if err := removeLeftovers(dir); err != nil {
		return fmt.Errorf("token keys: %w", err)
	}
	return syncDir(filepath.Dir(dir))
}

// removeLeftovers deletes what a crash between writing and renaming a key left.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), keyTempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// loadTokenKeys reads all keys in dir, oldest first. Files that are not named
// like a key are none of its business; a key that cannot be read is an error.
func loadTokenKeys(dir string) (tokenKeys, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	var keys tokenKeys
	for _, entry := range entries {
		created, ok := parseKeyFile(entry.Name())
		if !ok {
			continue
		}
		key, err := loadTokenKey(filepath.Join(dir, entry.Name()), created)
		if err != nil {
			return nil, fmt.Errorf("token key %s is damaged; restore it from a backup, "+
				"or remove the file to make everybody log in again: %w", filepath.Join(dir, entry.Name()), err)
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b *tokenKey) int { return strings.Compare(a.id, b.id) })
	return keys, nil
}

func parseKeyFile(name string) (created time.Time, ok bool) {
	id, ok := strings.CutSuffix(name, keyFileSuffix)
	stamp, _, hasFingerprint := strings.Cut(id, "-")
	created, err := time.Parse(keyTimeFormat, stamp)
	return created, ok && hasFingerprint && err == nil
}

func loadTokenKey(file string, created time.Time) (*tokenKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyPEMType {
		return nil, errors.New("not a PKCS #8 PEM file")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("not a P-256 key")
	}
	key, err := newTokenKey(private, created)
	if err != nil {
		return nil, err
	}
	if key.id+keyFileSuffix != filepath.Base(file) {
		return nil, errors.New("it is another key than its name says")
	}
	return key, nil
}

// createTokenKey makes a key and has it durable in dir before it returns.
func createTokenKey(dir string, created time.Time) (*tokenKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	key, err := newTokenKey(private, created)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: keyPEMType, Bytes: der})
	if err := writeDurably(dir, key.id+keyFileSuffix, text); err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	return key, nil
}

// writeDurably writes a file of mode 0600 that is, after a crash at any moment,
// either complete or absent.
func writeDurably(dir, name string, content []byte) (err error) {
	temp, err := os.CreateTemp(dir, keyTempPrefix+"*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeDeadKeys deletes the files of the keys that no living token can have
// been signed with, and returns the other keys. A key whose file cannot be
// deleted is kept, so that the next call tries again.
func removeDeadKeys(dir string, keys tokenKeys, now time.Time) (tokenKeys, error) {
	var living tokenKeys
	var failed error
	for i, key := range keys {
		if !retiredFor(keys, i, now, MaxTokenTTL+clockLeeway) {
			living = append(living, key)
			continue
		}
		err := os.Remove(filepath.Join(dir, key.id+keyFileSuffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			living, failed = append(living, key), errors.Join(failed, err)
		}
	}
	return living, failed
}

// retiredFor says whether the key at i has not signed for longer than d: the
// next key took over when it was made.
func retiredFor(keys tokenKeys, i int, now time.Time, d time.Duration) bool {
	return i+1 < len(keys) && now.Sub(keys[i+1].created) > d
}
