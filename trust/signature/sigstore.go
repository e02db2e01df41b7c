package signature

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// predicateSign is the predicate of a statement by which cosign signs. Other
// statements about an image, such as provenance or a list of its
// vulnerabilities, do not say that anybody approves of it.
const predicateSign = "https://sigstore.dev/cosign/sign/v1"

// sigstore is what keyless signatures are verified by.
type sigstore struct {
	roots      root.TrustedMaterialCollection
	identities []identity
}

type identity struct {
	anchor  core.TrustAnchor
	matches verify.CertificateIdentity
}

func (s *sigstore) add(a core.TrustAnchor) error {
	if a.Type == core.AnchorRoot {
		r, err := root.NewTrustedRootFromJSON([]byte(a.Content))
		if err != nil {
			return err
		}
		if len(r.FulcioCertificateAuthorities()) == 0 && len(r.RekorLogs()) == 0 {
			return fmt.Errorf("it names no certificate authority and no transparency log")
		}
		s.roots = append(s.roots, r)
		return nil
	}
	exact, pattern := a.Subject, ""
	if a.Pattern {
		exact, pattern = "", "^(?:"+a.Subject+")$"
	}
	matches, err := verify.NewShortCertificateIdentity(a.Issuer, "", exact, pattern)
	s.identities = append(s.identities, identity{a, matches})
	return err
}

// options are what a certificate needs to count. Where the roots have a log of
// that sort, the signature must be in a transparency log and the certificate in
// a certificate transparency log; when it was made must be attested in any case.
func (s sigstore) options() []verify.VerifierOption {
	var options []verify.VerifierOption
	if len(s.roots.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if len(s.roots.RekorLogs()) == 0 {
		return append(options, verify.WithSignedTimestamps(1))
	}
	return append(options, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
}

// keyless verifies an entity that was signed with a certificate, and finds the
// identity that it is trusted for.
func (s sigstore) keyless(entity verify.SignedEntity, artifact verify.ArtifactPolicyOption, sig *core.Signature) (*verify.VerificationResult, error) {
	if len(s.roots) == 0 || len(s.identities) == 0 {
		return nil, refuse("it was made with a certificate, and the project trusts no sigstore root with an identity")
	}
	verifier, err := verify.NewVerifier(s.roots, s.options()...)
	if err != nil {
		return nil, err
	}
	result, err := verifier.Verify(entity, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, refusal{err}
	}
	if result.Signature == nil || result.Signature.Certificate == nil {
		return nil, refuse("it was not made with a certificate")
	}
	return result, s.identify(*result.Signature.Certificate, result, sig)
}

func (s sigstore) identify(summary certificate.Summary, result *verify.VerificationResult, sig *core.Signature) error {
	for _, id := range s.identities {
		if id.matches.Verify(summary) == nil {
			sig.KeyID, sig.Signer, sig.ValidUntil = id.anchor.KeyID, summary.SubjectAlternativeName, id.anchor.ExpiresAt
			sig.SignedAt = earliest(result.VerifiedTimestamps)
			return nil
		}
	}
	return refuse("it was made by %s of %s, whom the project does not trust",
		core.Clip(summary.SubjectAlternativeName, 100), core.Clip(summary.Issuer, 100))
}

func earliest(attested []verify.TimestampVerificationResult) (first time.Time) {
	for _, t := range attested {
		if first.IsZero() || t.Timestamp.Before(first) {
			first = t.Timestamp
		}
	}
	return first
}

// message verifies the signature of a payload.
func (s sigstore) message(entity verify.SignedEntity, payload []byte, sig *core.Signature) error {
	_, err := s.keyless(entity, verify.WithArtifact(bytes.NewReader(payload)), sig)
	return err
}

// bundle verifies a sigstore bundle, which holds a statement about the subject.
func (c check) bundle(ctx context.Context, layer core.Descriptor, s *core.Signature) error {
	if !strings.HasPrefix(layer.MediaType, typeBundlePrefix) {
		return refuse("the layer is a %q, not a sigstore bundle", core.Clip(layer.MediaType, 100))
	}
	content, err := c.blob(ctx, layer, maxBundle)
	if err != nil {
		return err
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(content); err != nil {
		return refuse("the bundle cannot be read: %w", err)
	}
	if err := aboutSigning(&b); err != nil {
		return err
	}
	artifact, err := c.artifact()
	if err != nil {
		return err
	}
	if b.VerificationMaterial.GetPublicKey() == nil {
		_, err := c.sigstore.keyless(&b, artifact, s)
		return err
	}
	return c.keyedBundle(&b, artifact, s)
}

// aboutSigning says whether the bundle signs its subject: errNoSignature for
// one that attests something else.
func aboutSigning(b *bundle.Bundle) error {
	envelope, err := b.Envelope()
	if err != nil {
		return refuse("the bundle holds no statement about an image")
	}
	statement, err := envelope.Statement()
	if err != nil {
		return refuse("the statement in the bundle cannot be read: %w", err)
	}
	if statement.GetPredicateType() != predicateSign {
		return errNoSignature
	}
	return nil
}

// artifact is the subject in the words of the library, which compares it with
// the statement's.
func (c check) artifact() (verify.ArtifactPolicyOption, error) {
	algorithm, encoded, _ := strings.Cut(c.Subject.Digest, ":")
	digest, err := hex.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("the digest %s of the subject: %w", c.Subject.Digest, err)
	}
	return verify.WithArtifactDigest(algorithm, digest), nil
}

// keyedBundle verifies a bundle that was signed with a key. It need not be in a
// transparency log; where it is in one that a trusted root has, that is
// verified too.
func (c check) keyedBundle(b *bundle.Bundle, artifact verify.ArtifactPolicyOption, s *core.Signature) error {
	options, err := c.sigstore.optionsForKey(b)
	if err != nil {
		return refusal{err}
	}
	why := refuse("no key that the project trusts made it")
	for _, key := range c.keys {
		for _, v := range key.verifiers {
			verifier, err := verify.NewVerifier(keyed(c.sigstore.roots, v), options...)
			if err != nil {
				return err
			}
			result, err := verifier.Verify(b, verify.NewPolicy(artifact, verify.WithKey()))
			if err == nil {
				key.accept(s)
				s.SignedAt = earliest(result.VerifiedTimestamps)
				return nil
			}
			if len(c.keys) == 1 {
				why = refuse("%s did not make it: %w", key.anchor.Name, err)
			}
		}
	}
	return why
}

func (s sigstore) optionsForKey(b *bundle.Bundle) ([]verify.VerifierOption, error) {
	entries, err := b.TlogEntries()
	if err != nil {
		return nil, err
	}
	known := s.roots.RekorLogs()
	for _, entry := range entries {
		if known[hex.EncodeToString([]byte(entry.LogKeyID()))] != nil {
			return []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithNoObserverTimestamps()}, nil
		}
	}
	return []verify.VerifierOption{verify.WithNoObserverTimestamps()}, nil
}
