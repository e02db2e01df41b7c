package signature

import (
	"context"
	"crypto/x509"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
)

// revocations are the lists that the project was given. They stand in for the
// servers that certificates name, which are never asked. A list that is out of
// date is used on: who was revoked stays revoked.
type revocations []*x509.RevocationList

// ValidateContext says of each certificate of the chain whether it is revoked.
func (r revocations) ValidateContext(_ context.Context, options revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	chain := options.CertChain
	results := make([]*result.CertRevocationResult, len(chain))
	for i, certificate := range chain {
		results[i] = &result.CertRevocationResult{Result: result.ResultNonRevokable, RevocationMethod: result.RevocationMethodCRL}
		if i+1 < len(chain) && r.revoked(certificate, chain[i+1]) {
			results[i].Result = result.ResultRevoked
		}
	}
	return results, nil
}

// revoked looks in the lists that the issuer signed.
func (r revocations) revoked(certificate, issuer *x509.Certificate) bool {
	for _, list := range r {
		if list.CheckSignatureFrom(issuer) != nil {
			continue
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
				return true
			}
		}
	}
	return false
}
