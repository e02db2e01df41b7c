package signature

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The annotations of a layer that cosign made (cosign's SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationBundle      = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// claimType is what a payload says of itself.
const claimType = "cosign container image signature"

// claim is what cosign signs (the "simple signing" format).
type claim struct {
	Critical struct {
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
}

// cosign verifies a manifest that has a signature in each layer. Too many are
// refused as one, so that their number costs nothing.
func (c check) cosign(ctx context.Context, layers []core.Descriptor) ([]core.Signature, error) {
	if n := len(layers); n == 0 || n > maxEntries {
		s, err := judge(c.signature(core.TrustCosign, 0, typeSimpleSigning), func(*core.Signature) error {
			return refuse("the manifest holds %d signatures; 1 to %d are verified", n, maxEntries)
		})
		return []core.Signature{s}, err
	}
	all := make([]core.Signature, len(layers))
	for i, layer := range layers {
		var err error
		all[i], err = judge(c.signature(core.TrustCosign, i, layer.MediaType), func(s *core.Signature) error {
			return c.simpleSigning(ctx, layer, s)
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c check) simpleSigning(ctx context.Context, layer core.Descriptor, s *core.Signature) error {
	if layer.MediaType != typeSimpleSigning {
		return refuse("the layer is a %q, not a %s", core.Clip(layer.MediaType, 100), typeSimpleSigning)
	}
	for _, name := range []string{annotationSignature, annotationCertificate, annotationChain, annotationBundle, annotationTimestamp} {
		if len(layer.Annotations[name]) > maxSignature {
			return refuse("the annotation %s has more than %d bytes", name, maxSignature)
		}
	}
	sig, err := base64.StdEncoding.DecodeString(layer.Annotations[annotationSignature])
	if err != nil || len(sig) == 0 {
		return refuse("the annotation %s holds no signature", annotationSignature)
	}
	payload, err := c.blob(ctx, layer, maxPayload)
	if err != nil {
		return err
	}
	if err := c.claims(payload); err != nil {
		return err
	}
	for _, key := range c.keys {
		if key.signed(payload, sig) {
			key.accept(s)
			return nil
		}
	}
	if layer.Annotations[annotationCertificate] == "" {
		return refuse("no key that the project trusts made it")
	}
	entity, err := newEntity(payload, sig, layer.Annotations)
	if err != nil {
		return refusal{err}
	}
	return c.sigstore.message(entity, payload, s)
}

// claims makes sure that the payload is about the subject.
func (c check) claims(payload []byte) error {
	var claim claim
	if err := core.CheckJSON(payload); err != nil {
		return refuse("what is signed cannot be read: %w", err)
	}
	if err := json.Unmarshal(payload, &claim); err != nil {
		return refusal{errors.New("what is signed is not cosign's JSON")}
	}
	if claim.Critical.Type != claimType {
		return refuse("what is signed is a %q, not a %q", core.Clip(claim.Critical.Type, 64), claimType)
	}
	if claim.Critical.Image.Digest != c.Subject.Digest {
		return refuse("it was made for %s, another image", core.Clip(claim.Critical.Image.Digest, 80))
	}
	return nil
}
