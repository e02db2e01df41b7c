package signature

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// entity is a signature whose certificate and proofs are annotations of its
// layer, as cosign wrote them before there were bundles. The chain that it
// brings along is not used: the roots of the project have their own.
type entity struct {
	verify.BaseSignedEntity
	certificate *x509.Certificate
	message     *bundle.MessageSignature
	entries     []*tlog.Entry
	timestamps  [][]byte
}

func newEntity(payload, sig []byte, annotations map[string]string) (*entity, error) {
	certificates, err := cryptoutils.UnmarshalCertificatesFromPEMLimited([]byte(annotations[annotationCertificate]), 1)
	if err != nil || len(certificates) != 1 {
		return nil, errors.New("its certificate cannot be read")
	}
	sum := sha256.Sum256(payload)
	e := &entity{certificate: certificates[0], message: bundle.NewMessageSignature(sum[:], "SHA2_256", sig)}
	if text := annotations[annotationBundle]; text != "" {
		entry, err := logEntry(text)
		if err != nil {
			return nil, fmt.Errorf("its transparency log entry cannot be read: %w", err)
		}
		e.entries = []*tlog.Entry{entry}
	}
	if text := annotations[annotationTimestamp]; text != "" {
		var stamp struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, errors.New("its timestamp cannot be read")
		}
		e.timestamps = [][]byte{stamp.SignedRFC3161Timestamp}
	}
	return e, nil
}

// logEntry reads what cosign calls a bundle in that annotation: the entry that
// Rekor answered with, and its promise to include it.
func logEntry(text string) (*tlog.Entry, error) {
	var promise struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           string `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := json.Unmarshal([]byte(text), &promise); err != nil {
		return nil, errors.New("it is no JSON of Rekor")
	}
	body, err := base64.StdEncoding.DecodeString(promise.Payload.Body)
	if err != nil {
		return nil, err
	}
	logID, err := hex.DecodeString(promise.Payload.LogID)
	if err != nil {
		return nil, err
	}
	var kind struct{ Kind, APIVersion string }
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, errors.New("its body is no JSON of Rekor")
	}
	return tlog.ParseTransparencyLogEntry(&protorekor.TransparencyLogEntry{
		LogIndex: promise.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: logID}, IntegratedTime: promise.Payload.IntegratedTime,
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: promise.SignedEntryTimestamp},
		CanonicalizedBody: body,
	})
}

// VerificationContent is what the signature is verified by.
func (e *entity) VerificationContent() (verify.VerificationContent, error) {
	return bundle.NewCertificate(e.certificate), nil
}

// SignatureContent is the signature.
func (e *entity) SignatureContent() (verify.SignatureContent, error) { return e.message, nil }

// TlogEntries are the entries of transparency logs.
func (e *entity) TlogEntries() ([]*tlog.Entry, error) { return e.entries, nil }

// Timestamps are the timestamps of timestamping authorities (RFC 3161).
func (e *entity) Timestamps() ([][]byte, error) { return e.timestamps, nil }

// HasInclusionPromise says whether a log promised to include the signature.
func (e *entity) HasInclusionPromise() bool { return len(e.entries) > 0 }

// Version is that of the bundle format which had the same in it.
func (e *entity) Version() (string, error) { return "v0.1", nil }

// keyMaterial is the roots with one key beside them.
type keyMaterial struct {
	root.TrustedMaterialCollection
	key *root.ExpiringKey
}

func keyed(roots root.TrustedMaterialCollection, v signature.Verifier) keyMaterial {
	return keyMaterial{roots, root.NewExpiringKey(v, time.Time{}, time.Time{})}
}

// PublicKeyVerifier returns the key, whatever the bundle calls it.
func (k keyMaterial) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	return k.key, nil
}
