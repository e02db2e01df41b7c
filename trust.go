package main

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/seal"
	"github.com/breakwater-registry/breakwater/internal/signin"
	"github.com/breakwater-registry/breakwater/trust/notary"
)

// openTrust makes the trust server, in the names by which clients sign.
func (s *server) openTrust() error {
	external, err := url.Parse(s.cfg.ExternalURL)
	if err != nil {
		return err
	}
	s.app.SetTrustHosts(external.Host, s.cfg.TrustAliases...)
	box, err := masterKey(s.cfg, os.Getenv("CREDENTIALS_DIRECTORY"))
	if err != nil {
		return err
	}
	s.notary = notary.New(notary.Options{App: s.app, Box: box, Log: s.log, Space: s.blobs.CheckSpace,
		Door: signin.Door{App: s.app, Tokens: s.tokens, Realm: s.realm}})
	return nil
}

// masterKey finds the master key: in the settings, else among the credentials
// that systemd passed, else in the data folder.
func masterKey(cfg config.Config, credentials string) (*seal.Box, error) {
	if cfg.MasterKey.IsSet() {
		return seal.Parse(cfg.MasterKey.Reveal())
	}
	if credentials != "" {
		secret, err := config.ReadSecret(filepath.Join(credentials, "master-key"))
		if err == nil {
			return seal.Parse(secret.Reveal())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return seal.OpenFile(filepath.Join(cfg.Data, "keys", "master"))
}

// trustOnly is the handler of a listener for content trust alone: the trust
// server, and what a client needs to sign in there.
func (s *server) trustOnly(all http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" && r.URL.Path != "/service/token" && !notary.Serves(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		all.ServeHTTP(w, r)
	})
}
