package core

import (
	"regexp"
	"strings"
	"time"
)

var signatureTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})\.sig$`)

// SignedByTag returns the digest whose signatures cosign keeps below that tag;
// empty for any other tag.
func SignedByTag(tag string) string {
	if match := signatureTag.FindStringSubmatch(tag); match != nil {
		return "sha256:" + match[1]
	}
	return ""
}

// SignatureTag is the tag below which cosign keeps the signatures of a digest.
func SignatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// AnchorType is a sort of thing that a project trusts signatures by.
type AnchorType string

// The sorts of trust anchors.
const (
	// AnchorKey is a public key, PEM, whose cosign signatures count.
	AnchorKey AnchorType = "cosign-key"
	// AnchorIdentity is an OpenID Connect issuer and a subject whose keyless
	// cosign signatures count, by the certificates of a sigstore root.
	AnchorIdentity AnchorType = "cosign-identity"
	// AnchorRoot is a sigstore trusted root, JSON.
	AnchorRoot AnchorType = "sigstore-root"
	// AnchorCertificate is a certificate, PEM, by which notation signatures count.
	AnchorCertificate AnchorType = "notation-certificate"
	// AnchorSubject is a pattern of signing certificates' subjects in the words
	// of notation's trust policy; where there is one, no other subject counts.
	AnchorSubject AnchorType = "notation-subject"
	// AnchorRevocation is a list of revoked certificates, PEM or base64 DER.
	AnchorRevocation AnchorType = "notation-crl"
)

// CertificateStore is which signatures a certificate is trusted for, in the
// words of notation's trust stores.
type CertificateStore string

// The trust stores of notation.
const (
	StoreCA               CertificateStore = "ca"
	StoreSigningAuthority CertificateStore = "signingAuthority"
	StoreTSA              CertificateStore = "tsa"
)

// TrustAnchor is something that a project trusts signatures by.
type TrustAnchor struct {
	ID        int64
	ProjectID int64
	Type      AnchorType
	Name      string           // unique among those of its type in the project
	Content   string           // of keys, roots, certificates and lists: PEM or JSON; of a subject: its pattern
	Issuer    string           // of an identity: the OpenID Connect issuer
	Subject   string           // of an identity; of a certificate or list: the distinguished name, for people
	Pattern   bool             // the Subject of an identity is a regular expression for the whole of it
	Store     CertificateStore // of a certificate
	KeyID     string           // what is in TrustFact.KeyID when it verified; unique among those of its type in the project
	NotAfter  time.Time        // of a certificate: its own end; of a list: when the next one is due; zero: none
	ExpiresAt time.Time        // from when on it counts no more, as an administrator chose; zero: never
	CreatedBy string           // username
	CreatedAt time.Time
}

// Kind says which kind of signature the anchor is about.
func (a TrustAnchor) Kind() TrustKind {
	switch a.Type {
	case AnchorKey, AnchorIdentity, AnchorRoot:
		return TrustCosign
	}
	return TrustNotation
}

// Signs says whether signatures are counted by the anchor itself; the others
// only help to verify.
func (a TrustAnchor) Signs() bool {
	return a.Type == AnchorKey || a.Type == AnchorIdentity || (a.Type == AnchorCertificate && a.Store != StoreTSA)
}

// Signature is one signature of a manifest, verified or not.
type Signature struct {
	ID           int64
	RepositoryID int64
	Subject      string // digest of the manifest that is signed
	Manifest     string // digest of the manifest that holds the signature
	Entry        int64  // its place there, from 0
	Kind         TrustKind
	Format       string // media type of the signature
	Verified     bool
	Reason       string // why it is not verified
	KeyID        string // of the trust anchor that verified it
	Signer       string // as people know the owner of the key
	SignedAt     time.Time
	ValidUntil   time.Time // zero: no end
	CheckedAt    time.Time
}

// SignatureStatus is what is known of a signature.
type SignatureStatus string

// What a signature may be: one that counts, one that counted until it or its
// key ended, or one that does not verify.
const (
	SignatureVerified SignatureStatus = "verified"
	SignatureExpired  SignatureStatus = "expired"
	SignatureInvalid  SignatureStatus = "invalid"
)

// Status says what the signature is at that time.
func (s Signature) Status(now time.Time) SignatureStatus {
	switch {
	case !s.Verified:
		return SignatureInvalid
	case !s.ValidUntil.IsZero() && !now.Before(s.ValidUntil):
		return SignatureExpired
	}
	return SignatureVerified
}

// SignatureManifest is a manifest that may hold signatures of another one.
type SignatureManifest struct {
	Digest       string
	ArtifactType string // as the referrers API shows it
	Subject      Descriptor
	Body         []byte
}

// The types of accessories, in Harbor's words.
const (
	AccessoryCosign   = "signature.cosign"
	AccessoryNotation = "signature.notation"
	AccessorySBOM     = "sbom.harbor"
	AccessoryOther    = "subject.accessory"
)

const (
	typeNotation = "application/vnd.cncf.notary.signature"
	// annotationPredicate is what cosign notes of a sigstore bundle on its
	// manifest; predicateSign is that of a signature.
	annotationPredicate = "dev.sigstore.bundle.predicateType"
	predicateSign       = "https://sigstore.dev/cosign/sign/v1"
)

// AccessoryType names, in Harbor's words, what an artifact that refers to
// another one says about that. It believes the artifact: that a signature is
// one is found out by verifying it.
func (a Artifact) AccessoryType() string {
	predicate := a.Annotations[annotationPredicate]
	switch {
	case a.Kind == KindSBOM:
		return AccessorySBOM
	case a.Kind != KindSignature, predicate != "" && predicate != predicateSign:
		return AccessoryOther
	case a.ArtifactType == typeNotation:
		return AccessoryNotation
	}
	return AccessoryCosign
}
