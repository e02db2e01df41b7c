package signature

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	coresig "github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	gonotation "github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// notation is what notation's signatures are verified by. It is the trust store
// of its own trust policy.
type notation struct {
	certificates map[truststore.Type][]anchored
	subjects     []string
	revoked      revocations
	policy       trustpolicy.Document
	stamped      trustpolicy.Document // for signatures with a timestamp
}

type anchored struct {
	*x509.Certificate
	anchor core.TrustAnchor
}

// storeName is the name of the one trust store of each type.
const storeName = "project"

func (n *notation) add(a core.TrustAnchor) error {
	switch a.Type {
	case core.AnchorSubject:
		n.subjects = append(n.subjects, a.Content)
		return nil
	case core.AnchorRevocation:
		list, err := core.ParseRevocationList(a.Content)
		n.revoked = append(n.revoked, list)
		return err
	case core.AnchorCertificate:
		certificate, err := core.ParseCertificate(a.Content)
		if err != nil {
			return err
		}
		if n.certificates == nil {
			n.certificates = map[truststore.Type][]anchored{}
		}
		store := truststore.Type(a.Store)
		n.certificates[store] = append(n.certificates[store], anchored{certificate, a})
		return nil
	}
	return fmt.Errorf("there is no such type of trust anchor")
}

// ready makes the trust policies once all anchors are there.
func (n *notation) ready() error {
	n.policy = n.document(trustpolicy.TrustPolicy{TrustStores: n.stores(core.StoreCA, core.StoreSigningAuthority)})
	n.stamped = n.document(trustpolicy.TrustPolicy{TrustStores: n.stores(core.StoreCA, core.StoreSigningAuthority, core.StoreTSA)})
	if len(n.subjects) == 0 {
		return nil
	}
	// What is wrong with a subject must be told also where no certificate is there yet.
	probe := n.document(trustpolicy.TrustPolicy{TrustStores: []string{"ca:" + storeName}})
	return probe.Validate()
}

func (n *notation) stores(types ...core.CertificateStore) (names []string) {
	for _, t := range types {
		if len(n.certificates[truststore.Type(t)]) > 0 {
			names = append(names, string(t)+":"+storeName)
		}
	}
	return names
}

// document is the strict trust policy for every repository.
func (n *notation) document(p trustpolicy.TrustPolicy) trustpolicy.Document {
	p.Name, p.RegistryScopes, p.TrustedIdentities = storeName, []string{"*"}, n.subjects
	p.SignatureVerification = trustpolicy.SignatureVerification{VerificationLevel: trustpolicy.LevelStrict.Name, VerifyTimestamp: trustpolicy.OptionAlways}
	if len(n.subjects) == 0 {
		p.TrustedIdentities = []string{"*"}
	}
	return trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{p}}
}

// GetCertificates returns the certificates of one trust store.
func (n *notation) GetCertificates(_ context.Context, store truststore.Type, _ string) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for _, c := range n.certificates[store] {
		list = append(list, c.Certificate)
	}
	return list, nil
}

// notationEnvelope verifies a signature in a JWS or COSE envelope.
func (c check) notationEnvelope(ctx context.Context, layer core.Descriptor, s *core.Signature) error {
	if layer.MediaType != jws.MediaTypeEnvelope && layer.MediaType != cose.MediaTypeEnvelope {
		return refuse("the layer is a %q, neither a JWS nor a COSE envelope", core.Clip(layer.MediaType, 100))
	}
	content, err := c.blob(ctx, layer, maxEnvelope)
	if err != nil {
		return err
	}
	n := &c.notation
	if len(n.stores(core.StoreCA, core.StoreSigningAuthority)) == 0 {
		return refuse("the project trusts no certificate")
	}
	stamped, err := hasTimestamp(layer.MediaType, content)
	if err != nil {
		return refusal{err}
	}
	policy := n.policy
	stamped = stamped && len(n.stores(core.StoreTSA)) > 0
	if stamped {
		policy = n.stamped
	}
	v, err := verifier.NewWithOptions(&policy, n, nil, verifier.VerifierOptions{
		RevocationCodeSigningValidator: n.revoked, RevocationTimestampingValidator: n.revoked})
	if err != nil {
		return err
	}
	outcome, err := v.Verify(ctx, c.target(), content, gonotation.VerifierVerifyOptions{
		ArtifactReference: "registry.invalid/repository@" + c.Subject.Digest, SignatureMediaType: layer.MediaType})
	if err != nil {
		return refusal{err}
	}
	return n.accept(&outcome.EnvelopeContent.SignerInfo, stamped, s)
}

// target is the subject in the words of the library, which compares it with
// what was signed.
func (c check) target() v1.Descriptor {
	return v1.Descriptor{MediaType: c.Subject.MediaType, Digest: digest.Digest(c.Subject.Digest), Size: c.Subject.Size}
}

// hasTimestamp looks whether the envelope holds the timestamp of an authority.
func hasTimestamp(mediaType string, content []byte) (bool, error) {
	envelope, err := coresig.ParseEnvelope(mediaType, content)
	if err != nil {
		return false, err
	}
	parsed, err := envelope.Content()
	if err != nil {
		return false, err
	}
	return len(parsed.SignerInfo.UnsignedAttributes.TimestampSignature) > 0, nil
}

// accept notes in a signature by which certificate it verified, and until when
// it counts: to the expiry that the signer gave it and, where no timestamp
// shows that it was made in time, to that of the certificates.
func (n *notation) accept(info *coresig.SignerInfo, stamped bool, s *core.Signature) error {
	scheme := info.SignedAttributes.SigningScheme
	store := truststore.TypeCA
	if scheme == coresig.SigningSchemeX509SigningAuthority {
		store = truststore.TypeSigningAuthority
	}
	anchor, err := n.anchor(store, info.CertificateChain)
	if err != nil {
		return err
	}
	s.KeyID, s.Signer, s.SignedAt = anchor.KeyID, info.CertificateChain[0].Subject.String(), info.SignedAttributes.SigningTime
	until := []time.Time{info.SignedAttributes.Expiry, anchor.ExpiresAt}
	if scheme == coresig.SigningSchemeX509 && !stamped {
		for _, certificate := range info.CertificateChain {
			until = append(until, certificate.NotAfter)
		}
	}
	s.ValidUntil = first(until)
	return nil
}

// anchor is the trusted certificate that the chain leads to.
func (n *notation) anchor(store truststore.Type, chain []*x509.Certificate) (core.TrustAnchor, error) {
	for _, certificate := range chain {
		for _, trusted := range n.certificates[store] {
			if trusted.Equal(certificate) {
				return trusted.anchor, nil
			}
		}
	}
	return core.TrustAnchor{}, errors.New("a verified chain of certificates leads to no trusted one")
}

// first returns the earliest of the times that are set.
func first(times []time.Time) (earliest time.Time) {
	for _, t := range times {
		if !t.IsZero() && (earliest.IsZero() || t.Before(earliest)) {
			earliest = t
		}
	}
	return earliest
}
