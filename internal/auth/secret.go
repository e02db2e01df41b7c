package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
)

const secretBytes = 32

// NewSecret returns 256 random bits in URL-safe base64 after prefix, which names
// the kind of secret so that leak scanners and people recognise it ("bwr_").
func NewSecret(prefix string) string {
	return prefix + base64.RawURLEncoding.EncodeToString(randomBytes(secretBytes))
}

// HashSecret returns the lowercase hex SHA-256 of a secret made by NewSecret,
// for storing. A slow hash would add nothing: 256 random bits cannot be guessed.
// It is not for anything that a person chose; that is what Passwords is for.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// SecretMatches says, in constant time, whether hash is HashSecret(secret). An
// empty hash matches nothing.
func SecretMatches(hash, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(HashSecret(secret))) == 1
}
