package signature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The bounds of what is read and verified for one manifest.
const (
	maxEntries   = 128      // signatures in a manifest
	maxPayload   = 64 << 10 // bytes of what cosign signs
	maxSignature = 32 << 10 // bytes of an annotation that belongs to a signature
	maxBundle    = 1 << 20  // bytes of a sigstore bundle
	maxEnvelope  = 1 << 20  // bytes of a notation envelope
	maxReason    = 300      // characters, also of a signer's name
	maxFormat    = 100      // characters of a media type
)

// The artifact types of manifests that hold signatures.
const (
	typeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeCosignOCI11   = "application/vnd.dev.cosign.artifact.sig.v1+json"
	typeBundlePrefix  = "application/vnd.dev.sigstore.bundle"
	typeNotation      = "application/vnd.cncf.notary.signature"
)

// ReadFunc returns a blob of at most max bytes of the repository that the
// signature is in.
type ReadFunc func(ctx context.Context, digest string, max int64) ([]byte, error)

// Verifier verifies signatures against the trust anchors of one project. Its
// methods may be called concurrently.
type Verifier struct {
	keys     []publicKey
	sigstore sigstore
	notation notation
	now      time.Time
}

// New makes a verifier of the anchors, all of one project. An anchor that
// cannot be used is an error: without it more could count than should.
func New(anchors []core.TrustAnchor, now time.Time) (*Verifier, error) {
	v := &Verifier{now: now}
	for _, a := range anchors {
		if err := v.add(a); err != nil {
			return nil, fmt.Errorf("the %s %s: %w", a.Type, a.Name, err)
		}
	}
	return v, v.notation.ready()
}

func (v *Verifier) add(a core.TrustAnchor) error {
	switch a.Type {
	case core.AnchorKey:
		key, err := newPublicKey(a)
		v.keys = append(v.keys, key)
		return err
	case core.AnchorIdentity, core.AnchorRoot:
		return v.sigstore.add(a)
	}
	return v.notation.add(a)
}

// Check says whether an anchor can be used beside the others of its project:
// nil, or an error that a user may read.
func Check(anchor core.TrustAnchor, others []core.TrustAnchor) error {
	if _, err := New(append([]core.TrustAnchor{anchor}, others...), time.Now()); err != nil {
		return &core.Error{Code: core.CodeBadRequest, Message: "the trust anchor cannot be used: " + clip(err), Err: err}
	}
	return nil
}

// IsSignature says whether a manifest of that artifact type, which refers to
// another one, may hold signatures of it.
func IsSignature(artifactType string) bool {
	return artifactType == typeCosignOCI11 || artifactType == typeNotation || strings.HasPrefix(artifactType, typeBundlePrefix)
}

// document is what is read of a manifest that holds signatures.
type document struct {
	Config core.Descriptor   `json:"config"`
	Layers []core.Descriptor `json:"layers"`
}

// Verify verifies every signature in the manifest. An error means that it
// could not be done, and should be tried again; what is wrong with a signature
// is in its Reason. A sigstore bundle that attests something else about the
// subject is no signature.
func (v *Verifier) Verify(ctx context.Context, m core.SignatureManifest, read ReadFunc) ([]core.Signature, error) {
	var doc document
	if err := json.Unmarshal(m.Body, &doc); err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", m.Digest, err)
	}
	c := check{Verifier: v, SignatureManifest: m, read: read}
	switch {
	case m.ArtifactType == typeNotation:
		return c.only(ctx, core.TrustNotation, doc.Layers, c.notationEnvelope)
	case strings.HasPrefix(m.ArtifactType, typeBundlePrefix):
		return c.only(ctx, core.TrustCosign, doc.Layers, c.bundle)
	}
	return c.cosign(ctx, doc.Layers)
}

// check is the verification of one manifest.
type check struct {
	*Verifier
	core.SignatureManifest
	read ReadFunc
}

// A refusal is why a signature does not count; any other error is a failure to
// find that out.
type refusal struct{ error }

// Unwrap returns the cause.
func (r refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// errNoSignature is about something that was found where a signature may be.
var errNoSignature = errors.New("no signature")

func (c check) signature(kind core.TrustKind, entry int, format string) core.Signature {
	return core.Signature{Subject: c.Subject.Digest, Manifest: c.Digest, Entry: int64(entry), Kind: kind, Format: printable(format, maxFormat)}
}

// judge makes a signature of what verify finds out about it.
func judge(s core.Signature, verify func(*core.Signature) error) (core.Signature, error) {
	err := guard(verify, &s)
	r, refused := errors.AsType[refusal](err)
	switch {
	case err == nil:
		s.Verified, s.Signer = true, printable(s.Signer, maxReason)
	case refused:
		s.Reason = clip(r)
		s.KeyID, s.ValidUntil = "", time.Time{}
	default:
		return s, err
	}
	return s, nil
}

// guard makes a refusal of a panic: what was pushed is read by many parsers, and
// one that it breaks must not keep other signatures from being verified.
func guard(verify func(*core.Signature) error, s *core.Signature) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = refuse("it cannot be read: %v", p)
		}
	}()
	return verify(s)
}

// only is for manifests that hold exactly one signature.
func (c check) only(ctx context.Context, kind core.TrustKind, layers []core.Descriptor,
	verify func(context.Context, core.Descriptor, *core.Signature) error) ([]core.Signature, error) {
	format := ""
	if len(layers) > 0 {
		format = layers[0].MediaType
	}
	s, err := judge(c.signature(kind, 0, format), func(s *core.Signature) error {
		if len(layers) != 1 {
			return refuse("the manifest has %d layers; a signature of this type has one", len(layers))
		}
		return verify(ctx, layers[0], s)
	})
	if errors.Is(err, errNoSignature) {
		return nil, nil
	}
	return []core.Signature{s}, err
}

// blob reads what a layer holds.
func (c check) blob(ctx context.Context, d core.Descriptor, max int64) ([]byte, error) {
	if d.Size > max {
		return nil, refuse("it has %d bytes; more than %d are not read", d.Size, max)
	}
	content, err := c.read(ctx, d.Digest, max)
	switch core.ErrorCode(err) {
	case core.CodeTooLarge:
		return nil, refuse("it has more than %d bytes, which are not read", max)
	case core.CodeNotFound:
		return nil, refuse("its content %s is missing", d.Digest)
	}
	return content, err
}

// clip makes one short line of an error, which may quote what somebody pushed.
func clip(err error) string { return printable(err.Error(), maxReason) }

// printable makes one line of at most max characters of any text, fit to be shown
// and to be kept in every database.
func printable(text string, max int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return core.Clip(strings.Join(strings.Fields(text), " "), max)
}
