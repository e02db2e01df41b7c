package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/certs"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/disk"
	"github.com/breakwater-registry/breakwater/internal/httpx"
	"github.com/breakwater-registry/breakwater/internal/signin"
	"github.com/breakwater-registry/breakwater/internal/systemd"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/scanner"
	"github.com/breakwater-registry/breakwater/store"
	"github.com/breakwater-registry/breakwater/trust/notary"
	"github.com/breakwater-registry/breakwater/trust/signature"
)

// databaseFile is the truth, within the data folder.
const databaseFile = "breakwater.db"

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the registry",
		Long:  "Run the registry. Every flag is also a key of the settings file and an environment variable.\n\n" + config.EnvironmentHelp(),
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.OutOrStdout(), logger(cfg, cmd.ErrOrStderr()))
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

func logger(cfg config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == config.LogJSON {
		return slog.New(httpx.LogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(httpx.LogHandler(slog.NewTextHandler(w, options)))
}

// server is everything that runs, in the order in which it was opened.
type server struct {
	cfg      config.Config
	log      *slog.Logger
	out      io.Writer
	listener net.Listener
	blobs    *blobs.FileStore
	journal  *journal.Journal
	store    *store.Store
	app      *app.App
	tokens   *auth.Tokens
	certs    *certs.Manager // nil with plain HTTP
	scanner  *scanner.Engine
	pacer    pacer
	images   *registry.Registry
	notary   *notary.Server
	http     *http.Server
	metrics  http.Handler // for its own listener; nil without one
	first    firstPassword
	closing  chan struct{} // closed when the server begins to shut down
	closers  []func() error
}

// serve runs the registry until SIGTERM, SIGINT or an error.
func serve(ctx context.Context, cfg config.Config, out io.Writer, log *slog.Logger) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s := &server{cfg: cfg, log: log, out: out, closing: make(chan struct{})}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

// opened has fn run at the end, the last opened first.
func (s *server) opened(fn func() error) { s.closers = append(s.closers, fn) }

func (s *server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// openData opens all that is in the data folder, which must be locked, and ends
// what a crash left half done.
func (s *server) openData(ctx context.Context) (err error) {
	if err := s.openParts(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

func (s *server) openParts(ctx context.Context) (err error) {
	space := func() (total, free uint64, err error) { return disk.Space(s.cfg.Data) }
	if s.blobs, err = blobs.Open(ctx, s.cfg.Data, blobs.WithReserve(space, s.cfg.DiskReserve.Of)); err != nil {
		return err
	}
	if s.journal, err = journal.Open(journalDir(s.cfg), journal.WithLogger(s.log)); err != nil {
		return err
	}
	s.opened(s.journal.Close)
	if s.store, err = store.Open(ctx, filepath.Join(s.cfg.Data, databaseFile), s.journal); err != nil {
		return err
	}
	s.opened(s.store.Close)
	if s.app, err = app.New(ctx, s.store, registry.Content{Blobs: s.blobs}, s.log); err != nil {
		return err
	}
	s.opened(func() error { s.app.Close(); return nil })
	s.app.CheckTrustAnchors(signature.Check)
	if err := s.openScanner(); err != nil {
		return err
	}
	s.app.UseScanner(scans{s.scanner})
	return nil
}

// open opens the data folder and builds what serves it.
func (s *server) open(ctx context.Context) (err error) {
	if err := s.lockData(); err != nil {
		return err
	}
	s.choosePassword(ctx)
	if err := s.openData(ctx); err != nil {
		return err
	}
	if s.tokens, err = auth.OpenTokens(filepath.Join(s.cfg.Data, "keys", "token"), auth.TokenOptions{
		Issuer: signin.Service, Audience: signin.Service, Now: time.Now}); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w; is another process using it? Choose another address with --listen", s.cfg.Listen, err)
	}
	s.opened(func() error { return ignoreClosed(s.listener.Close()) })
	if s.cfg.ExternalURL == "" {
		s.cfg.ExternalURL = s.cfg.DefaultExternalURL(s.listener.Addr().(*net.TCPAddr).Port)
	}
	if err := s.openCertificates(); err != nil {
		return err
	}
	if err := s.openTrust(); err != nil {
		return err
	}
	return s.openHTTP()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// lockData makes the data folder and keeps other processes from serving it.
func (s *server) lockData() error {
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w; choose another with --data", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.cfg.Data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the data folder cannot be written: %w", err)
	}
	s.opened(lock.Close)
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("the data folder %s is in use by another breakwater: %w", s.cfg.Data, err)
	}
	return nil
}

func (s *server) openCertificates() (err error) {
	if s.cfg.HTTP {
		s.log.Warn("PLAIN HTTP: passwords and images travel unencrypted; use --http only on loopback or behind a proxy that speaks TLS",
			"listen", s.listener.Addr().String())
		return nil
	}
	options := certs.Options{DataDir: s.cfg.Data, Names: s.cfg.CertificateNames(),
		CertFile: s.cfg.TLSCert, KeyFile: s.cfg.TLSKey, Log: s.log}
	if s.cfg.ACMEEmail != "" {
		options.ACME = &certs.ACMEOptions{Email: s.cfg.ACMEEmail, Names: s.cfg.Hostnames, Directory: s.cfg.ACMECA,
			RootFile: s.cfg.ACMECARoot, Listen: s.listener.Addr().String(), HTTPListen: s.cfg.ACMEHTTPListen}
	}
	s.certs, err = certs.New(options)
	return err
}

// run serves until ctx ends, then drains.
func (s *server) run(ctx context.Context) error {
	if err := s.welcome(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ignoreServerClosed(s.serveMain()) })
	group.Go(func() error { return s.drain(ctx) })
	s.background(ctx, group)
	notifier := systemd.New(s.log)
	group.Go(func() error { return notifier.Watchdog(ctx, s.app.Ping) })
	group.Go(func() error { s.reloadOnHangup(ctx, notifier); return nil })
	if err := s.listenBeside(ctx, group); err != nil {
		return err
	}
	notifier.Ready()
	s.log.Info("ready", "version", version, "listen", s.listener.Addr().String(), "url", s.cfg.ExternalURL, "data", s.cfg.Data)
	debug.FreeOSMemory() // what the start needed, above all to hash the first password
	<-ctx.Done()
	notifier.Stopping()
	return group.Wait()
}

func (s *server) serveMain() error {
	if s.certs == nil {
		return s.http.Serve(s.listener)
	}
	return s.http.ServeTLS(s.listener, "", "")
}

func ignoreServerClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain lets open requests end for a while once ctx is done, then cuts them.
func (s *server) drain(ctx context.Context) error {
	<-ctx.Done()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	s.log.Info("stopping", "timeout", s.cfg.ShutdownTimeout)
	if err := s.http.Shutdown(limited); err != nil {
		s.log.Warn("requests were cut off at the shutdown timeout", "error", err)
		return s.http.Close()
	}
	return nil
}

// background starts the work that nobody asks for.
func (s *server) background(ctx context.Context, group *errgroup.Group) {
	if s.certs != nil {
		group.Go(func() error { s.certs.Run(ctx); return nil })
	}
	group.Go(func() error { s.app.RunAuditRetention(ctx); return nil })
	group.Go(func() error { s.app.RunSyslog(ctx); return nil })
	group.Go(func() error { s.housekeeping(ctx); return nil })
	group.Go(func() error { s.notary.Run(ctx); return nil })
	group.Go(func() error { return s.work(ctx) })
}

const (
	housekeepingEvery = time.Hour
	// uploadsKept is how long an upload may pause before it is given up.
	uploadsKept = 7 * 24 * time.Hour
)

func (s *server) housekeeping(ctx context.Context) {
	ticker := time.NewTicker(housekeepingEvery)
	defer ticker.Stop()
	for {
		if n, freed, err := s.blobs.Expire(ctx, uploadsKept); err != nil {
			s.log.Error("stale uploads could not be removed", "error", err)
		} else if n > 0 {
			s.log.Info("stale uploads removed", "uploads", n, "bytes", freed)
		}
		if err := s.app.QueueSignatures(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the verification of signatures could not be queued", "error", err)
		}
		if err := s.bundles().expire(time.Now()); err != nil {
			s.log.Error("old bundles of CVE feeds could not be removed", "error", err)
		}
		if err := s.app.KeepSecurityDay(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the findings of today could not be counted", "error", err)
		}
		if err := s.app.QueueScrub(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the check of the stored blobs could not be queued", "error", err)
		}
		if rotated, err := s.tokens.RotateIfOld(time.Now()); err != nil {
			s.log.Error("the token key could not be rotated", "error", err)
		} else if rotated {
			s.log.Info("the token key was rotated")
		}
		releaseProgram()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *server) reloadOnHangup(ctx context.Context, notifier *systemd.Notifier) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			notifier.Reloading()
			if s.certs == nil {
				s.log.Info("there is no certificate to reload with plain HTTP")
			} else if err := s.certs.Reload(); err != nil {
				s.log.Error("the certificate was not reloaded; the old one stays in use", "error", err)
			} else {
				s.log.Info("certificate reloaded")
			}
			notifier.Ready()
		}
	}
}

// firstPassword is that of the first administrator.
type firstPassword struct {
	shown string // what is told of it
	hash  func() (string, error)
}

// choosePassword begins to hash the first password at once where there is no
// database yet, beside all else that a first start does.
func (s *server) choosePassword(ctx context.Context) {
	password := s.cfg.AdminPassword.Reveal()
	s.first.shown = "the password from BREAKWATER_ADMIN_PASSWORD"
	if !s.cfg.AdminPassword.IsSet() {
		password = auth.RandomPassword()
		s.first.shown = password + "   (shown this once)"
	}
	s.first.hash = sync.OnceValues(func() (string, error) { return auth.NewPasswords().Hash(ctx, password) })
	if _, err := os.Stat(filepath.Join(s.cfg.Data, databaseFile)); errors.Is(err, os.ErrNotExist) {
		go s.first.hash() //nolint:errcheck // welcome asks for it again
	}
}

// welcome makes the first administrator of an empty registry and tells what to
// do next.
func (s *server) welcome(ctx context.Context) error {
	created, err := s.app.BootstrapWith(ctx, s.first.hash)
	if err != nil {
		return err
	}
	if created && !s.cfg.Offline {
		if err := s.app.FirstFeedSchedule(ctx); err != nil {
			return err
		}
	}
	shown := s.first.shown
	if !created {
		shown = "the password chosen before   (lost? breakwater admin reset-password)"
	}
	s.first = firstPassword{} // nobody asks again
	return s.printWelcome(shown)
}

func (s *server) printWelcome(password string) error {
	host := strings.TrimPrefix(strings.TrimPrefix(s.cfg.ExternalURL, "https://"), "http://")
	ca := "the certificate comes from elsewhere; clients need no CA of this registry"
	if s.certs != nil && s.certs.CAPEM() != nil {
		file := filepath.Join(s.cfg.Data, "tls", "ca.crt")
		ca = fmt.Sprintf("%s   (copy it to /etc/docker/certs.d/%s/ca.crt on every client)", file, host)
	}
	_, err := fmt.Fprintf(s.out, `Breakwater %s serves %s
  Sign in:  admin with %s
  API:      %s/api/v2.0
  CA:       %s
  Docker:   docker login %s && docker push %s/PROJECT/IMAGE:TAG
`, version, s.cfg.ExternalURL, password, s.cfg.ExternalURL, ca, host, host)
	return err
}
