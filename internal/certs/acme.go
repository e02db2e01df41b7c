package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// acmeProtocol is the ALPN protocol of the TLS-ALPN-01 challenge (RFC 8737).
const acmeProtocol = "acme-tls/1"

// ACMEOptions say how to get certificates by ACME (RFC 8555).
type ACMEOptions struct {
	// Email is the address of the account, to which expiry notices go.
	Email string
	// Names are the DNS names; each gets a certificate of its own.
	Names []string
	// Directory is the URL of the ACME server.
	Directory string
	// RootFile holds the CAs trusted for Directory, in PEM; "" means those
	// of the system.
	RootFile string
	// Listen is the host:port on which the server already listens with
	// TLSConfig; it answers the TLS-ALPN-01 challenges.
	Listen string
	// HTTPListen is the host:port on which the server already listens with
	// HTTPChallengeHandler; "" means that there are no HTTP-01 challenges.
	HTTPListen string
}

// acmeSource holds certmagic's parts. None of certmagic's package variables
// is touched.
type acmeSource struct {
	names  []string
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
	log    *slog.Logger
}

func newACME(opts Options) (*acmeSource, error) {
	template, err := issuerTemplate(opts.ACME)
	if err != nil {
		return nil, err
	}
	s := &acmeSource{names: opts.ACME.Names, log: opts.Log}
	logger := zap.New(zapBridge{log: opts.Log})
	template.Logger = logger
	s.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return s.config, nil },
		Logger:           logger,
	})
	s.config = certmagic.New(s.cache, certmagic.Config{
		Storage:            &certmagic.FileStorage{Path: filepath.Join(opts.DataDir, "acme")},
		DefaultServerName:  s.names[0],
		FallbackServerName: s.names[0],
		Logger:             logger,
	})
	s.issuer = certmagic.NewACMEIssuer(s.config, template)
	s.config.Issuers = []certmagic.Issuer{s.issuer}
	return s, nil
}

func issuerTemplate(o *ACMEOptions) (certmagic.ACMEIssuer, error) {
	template := certmagic.ACMEIssuer{
		CA:                   o.Directory,
		Email:                o.Email,
		Agreed:               true,
		DisableHTTPChallenge: o.HTTPListen == "",
	}
	if len(o.Names) == 0 {
		return template, core.Errorf(core.CodeBadRequest, "ACME needs a hostname to get a certificate for; give --hostname")
	}
	host, port, err := splitAddress(o.Listen)
	if err != nil {
		return template, err
	}
	template.ListenHost, template.AltTLSALPNPort = host, port
	if o.HTTPListen != "" {
		if _, template.AltHTTPPort, err = splitAddress(o.HTTPListen); err != nil {
			return template, err
		}
	}
	if o.RootFile != "" {
		template.TrustedRoots, err = readRoots(o.RootFile)
	}
	return template, err
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, &core.Error{Code: core.CodeBadRequest, Message: "the address for ACME challenges is not understood; write it like :443", Err: err}
	}
	return host, port, nil
}

func readRoots(path string) (*x509.CertPool, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, &core.Error{Code: core.CodeBadRequest, Message: "cannot read acme-ca-root", Err: err}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, core.Errorf(core.CodeBadRequest, "acme-ca-root %s has no certificate in PEM", path)
	}
	return roots, nil
}

// run obtains and renews the certificates until ctx ends. Failures are logged
// and tried again by certmagic, less and less often, for up to 30 days.
func (s *acmeSource) run(ctx context.Context) {
	defer s.cache.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, name := range s.names {
		wg.Go(func() {
			if err := s.manage(ctx, name); err != nil && ctx.Err() == nil {
				s.log.Error("no certificate by ACME", "name", name, "error", err)
			}
		})
	}
	<-ctx.Done()
}

// manage puts the certificate of name into the cache, which renews it from
// then on. certmagic's own ManageAsync does the same but cannot be waited for,
// and would still write to the data folder after the end of run.
func (s *acmeSource) manage(ctx context.Context, name string) error {
	cert, err := s.config.CacheManagedCertificate(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.config.ObtainCertAsync(ctx, name); err != nil {
			return err
		}
		_, err = s.config.CacheManagedCertificate(ctx, name)
		return err
	}
	if err != nil || !cert.NeedsRenewal(s.config) {
		return err
	}
	if err := s.config.RenewCertAsync(ctx, name, false); err != nil {
		return err
	}
	return s.replace(ctx, name)
}

// renew gets new certificates now.
func (s *acmeSource) renew(ctx context.Context) error {
	for _, name := range s.names {
		err := s.config.RenewCertSync(ctx, name, true)
		if err == nil {
			err = s.replace(ctx, name)
		}
		if err != nil {
			return &core.Error{Code: core.CodeUnavailable, Err: err,
				Message: "the ACME server gave no new certificate, the one in use stays; the log says why"}
		}
	}
	return nil
}

// replace serves the stored certificate of name instead of those in the cache.
func (s *acmeSource) replace(ctx context.Context, name string) error {
	old := s.cache.AllMatchingCertificates(name)
	next, err := s.config.CacheManagedCertificate(ctx, name)
	if err != nil {
		return err
	}
	for _, cert := range old {
		if cert.Hash() != next.Hash() {
			s.cache.Remove([]string{cert.Hash()})
		}
	}
	return nil
}

// leaf returns the certificate of the first name, nil while there is none.
func (s *acmeSource) leaf() *x509.Certificate {
	for _, cert := range s.cache.AllMatchingCertificates(s.names[0]) {
		if cert.Leaf != nil {
			return cert.Leaf
		}
	}
	return nil
}

// HTTPChallengeHandler answers the HTTP-01 challenges of ACME (RFC 8555
// section 8.3) and passes every other request on to next.
func (m *Manager) HTTPChallengeHandler(next http.Handler) http.Handler {
	if m.acme == nil {
		return next
	}
	return m.acme.issuer.HTTPChallengeHandler(next)
}
