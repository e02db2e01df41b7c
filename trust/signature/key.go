package signature

import (
	"bytes"
	"crypto"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// publicKey is a key that the project trusts. Which hash goes with it is not in
// a signature: cosign's older releases take SHA-256 with every key, newer ones
// the hash that fits the key's size.
type publicKey struct {
	anchor    core.TrustAnchor
	verifiers []signature.Verifier
}

func newPublicKey(a core.TrustAnchor) (publicKey, error) {
	key := publicKey{anchor: a}
	public, err := core.ParsePublicKey(a.Content)
	if err != nil {
		return key, err
	}
	hashes := []crypto.Hash{crypto.SHA256}
	details, err := signature.GetDefaultAlgorithmDetails(public)
	if err == nil && details.GetHashType() != 0 && !slices.Contains(hashes, details.GetHashType()) {
		hashes = append(hashes, details.GetHashType())
	}
	for _, hash := range hashes {
		v, err := signature.LoadVerifier(public, hash)
		if err != nil {
			return key, err
		}
		key.verifiers = append(key.verifiers, v)
	}
	return key, nil
}

// signed says whether the key made the signature of the message.
func (k publicKey) signed(message, sig []byte) bool {
	return slices.ContainsFunc(k.verifiers, func(v signature.Verifier) bool {
		return v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) == nil
	})
}

// accept notes the key in a signature that it made.
func (k publicKey) accept(s *core.Signature) {
	s.KeyID, s.Signer, s.ValidUntil = k.anchor.KeyID, k.anchor.Name, k.anchor.ExpiresAt
}
