package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/certs"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/internal/metrics"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/trust/notary"
	"github.com/breakwater-registry/breakwater/web"
)

const (
	headerTimeout  = 15 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// openHTTP builds the handler of the whole port.
func (s *server) openHTTP() error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(func() { close(s.closing) })
	if s.certs != nil {
		s.http.TLSConfig = s.certs.TLSConfig()
	}
	return nil
}

func (s *server) handler() (http.Handler, error) {
	token := ""
	if s.cfg.MetricsTokenFile != "" {
		secret, err := config.ReadSecret(s.cfg.MetricsTokenFile)
		if err != nil {
			return nil, err
		}
		token = secret.Reveal()
	}
	api, err := web.New(s.webDeps())
	if err != nil {
		return nil, err
	}
	s.images = registry.New(registry.Options{App: s.app, Blobs: s.blobs, Tokens: s.tokens,
		Realm: s.realm, Log: s.log})
	count := metrics.New(version, s.gauges())
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/service/token", s.images.TokenService())
	if token != "" {
		mux.Handle("GET /metrics", count.Handler(token))
	}
	if s.cfg.MetricsListen != "" {
		s.metrics = count.Handler(token)
	}
	edge := httpx.Edge{Log: s.log, Trusted: s.cfg.TrustedProxies}
	return edge.Wrap(count.Wrap(s.pacer.watch(httpx.Patient(route(s.notary, s.images, mux))))), nil
}

// route keeps the registry's paths from the mux, which would redirect paths
// that are not clean: what is authorised must be what was asked for.
func route(trust, images, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2" {
			r.URL.Path = "/v2/"
		}
		if strings.HasPrefix(r.URL.Path, "/v2/") && notary.Serves(r.URL.Path) {
			trust.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			images.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// realm is where a client gets its token: at the name by which it called the
// registry when that is one of the registry's own, else at the canonical one.
func (s *server) realm(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	base := s.cfg.ExternalURL
	own := append([]string{"localhost", "127.0.0.1", "::1"}, s.cfg.CertificateNames()...)
	if external, err := url.Parse(base); err == nil && slices.Contains(own, strings.Trim(host, "[]")) && external.Hostname() != host {
		base = external.Scheme + "://" + r.Host
	}
	return base + "/service/token"
}

func (s *server) webDeps() web.Deps {
	deps := web.Deps{App: s.app, Log: s.log, Version: version, ExternalURL: s.cfg.ExternalURL, DataDir: s.cfg.Data, Uploads: s.bundles(), Offline: s.cfg.Offline, Closing: s.closing,
		Checks: []web.Check{{Name: "storage", Probe: s.probeStorage},
			{Name: "disk", Probe: func(context.Context) error { return s.blobs.CheckSpace() }}}}
	if s.certs != nil {
		deps.Certificates = certificates{s.certs}
		deps.Checks = append(deps.Checks, web.Check{Name: "certificate", Probe: s.probeCertificate})
	}
	return deps
}

// probeStorage writes a few bytes where uploads go, and removes them.
func (s *server) probeStorage(ctx context.Context) error {
	upload, err := s.blobs.Begin(ctx, "health")
	if err != nil {
		return err
	}
	defer upload.Release()
	content := strings.NewReader("health probe")
	_, err = upload.Append(ctx, content, content.Size())
	return errors.Join(err, upload.Discard(ctx))
}

func (s *server) probeCertificate(context.Context) error {
	info, err := s.certs.Info()
	if err == nil && time.Now().After(info.NotAfter) {
		return core.Errorf(core.CodeUnavailable, "the certificate expired on %s", info.NotAfter.Format(time.DateOnly))
	}
	return err
}

// certificates shows the manager to the API in the API's own words.
type certificates struct{ *certs.Manager }

// Info implements web.Certificates.
func (c certificates) Info() (web.CertificateInfo, error) {
	info, err := c.Manager.Info()
	return web.CertificateInfo{Source: string(info.Source), Subject: info.Subject, Issuer: info.Issuer, SANs: info.SANs,
		NotBefore: info.NotBefore, NotAfter: info.NotAfter, Fingerprint: info.Fingerprint,
		CAFingerprint: info.CAFingerprint, CANotAfter: info.CANotAfter}, err
}

// gauges are what Prometheus sees of the registry's content.
func (s *server) gauges() []metrics.Gauge {
	figure := func(name, help string, pick func(app.Statistics) int64) metrics.Gauge {
		return metrics.Gauge{Name: name, Help: help, Value: func() (float64, error) {
			statistics, err := s.app.Statistics(context.Background(), core.Caller{Subject: core.System})
			return float64(pick(statistics)), err
		}}
	}
	return []metrics.Gauge{
		figure("breakwater_projects", "Projects.",
			func(v app.Statistics) int64 { return v.PublicProjects + v.PrivateProjects }),
		figure("breakwater_repositories", "Repositories.",
			func(v app.Statistics) int64 { return v.PublicRepositories + v.PrivateRepositories }),
		figure("breakwater_storage_bytes", "Bytes charged to the projects' quotas.",
			func(v app.Statistics) int64 { return v.Bytes }),
	}
}

// listenBeside starts the listeners that the settings ask for beside the main one.
func (s *server) listenBeside(ctx context.Context, group *errgroup.Group) error {
	for _, extra := range []struct {
		address string
		handler http.Handler
		tls     *tls.Config
	}{{s.cfg.MetricsListen, s.metrics, nil}, {s.cfg.ACMEHTTPListen, s.challenges(), nil}, {s.cfg.NotaryListen, s.trustOnly(s.http.Handler), s.http.TLSConfig}} {
		if extra.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", extra.address)
		if err != nil {
			return err
		}
		small := &http.Server{Handler: extra.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
			ReadTimeout: time.Minute, WriteTimeout: time.Minute, MaxHeaderBytes: maxHeaderBytes, TLSConfig: extra.tls,
			ErrorLog: s.http.ErrorLog}
		serve := small.Serve
		if extra.tls != nil {
			serve = func(l net.Listener) error { return small.ServeTLS(l, "", "") }
		}
		group.Go(func() error { return ignoreServerClosed(serve(listener)) })
		group.Go(func() error { <-ctx.Done(); return small.Close() })
	}
	return nil
}

// challenges answers HTTP-01 and sends everything else to TLS.
func (s *server) challenges() http.Handler {
	if s.certs == nil || s.cfg.ACMEHTTPListen == "" {
		return nil
	}
	return s.certs.HTTPChallengeHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.cfg.ExternalURL+r.URL.RequestURI(), http.StatusPermanentRedirect)
	}))
}
