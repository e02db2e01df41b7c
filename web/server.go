package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/assets"
	"github.com/breakwater-registry/breakwater/internal/app"
)

// Deps is what the server is made of.
type Deps struct {
	App *app.App
	Log *slog.Logger
	// Version is that of this product, without a leading v.
	Version string
	// ExternalURL is the address clients use: scheme, host and port only.
	ExternalURL string
	// DataDir is the folder whose disk is watched.
	DataDir string
	// Certificates is nil when the server speaks plain HTTP.
	Certificates Certificates
	// Uploads keeps uploaded bundles of CVE feeds.
	Uploads Uploads
	// Offline says that feeds are imported only.
	Offline bool
	// Closing is closed when the server begins to shut down: answers that would
	// go on for long end then. It may be nil.
	Closing <-chan struct{}
	// Checks are the parts whose health is told beside the database's.
	Checks []Check
}

// Check asks one part of the server whether it works. Probe runs at most every
// few seconds, however often health is asked for.
type Check struct {
	Name  string
	Probe func(context.Context) error
}

// Certificates is the owner of the server's TLS certificate.
type Certificates interface {
	// Info describes the certificate in use.
	Info() (CertificateInfo, error)
	// CAPEM is the certificate of the own CA; nil when it is not in use.
	CAPEM() []byte
	// RenewServer makes a new certificate from the own CA.
	RenewServer(context.Context) error
	// RenewCA makes a new CA, which all clients then have to trust anew.
	RenewCA(context.Context) error
	// ReplaceServer puts a certificate (with its chain) and key in PEM into use.
	ReplaceServer(ctx context.Context, certPEM, keyPEM []byte) error
	// RemoveCustom goes back from a replaced certificate to the own CA's.
	RemoveCustom(context.Context) error
}

// CertificateInfo is what GET /system/certificate tells.
type CertificateInfo struct {
	Source        string    `json:"source"` // own-ca, files, uploaded or acme
	Subject       string    `json:"subject"`
	Issuer        string    `json:"issuer"`
	SANs          []string  `json:"sans"`
	NotBefore     time.Time `json:"not_before"`
	NotAfter      time.Time `json:"not_after"`
	Fingerprint   string    `json:"fingerprint"` // SHA-256
	CAFingerprint string    `json:"ca_fingerprint,omitempty"`
	CANotAfter    time.Time `json:"ca_not_after,omitzero"`
}

// New returns the handler of everything but the registry's own protocol: the
// REST API and the user interface. httpx.Edge belongs around it, once for
// the whole server. It fails when ExternalURL is not an origin.
func New(deps Deps) (http.Handler, error) {
	h := &api{app: deps.App, deps: deps, health: newHealth(deps), once: newOnce(), shown: newShownOnce()}
	crossOrigin, err := newCrossOrigin(deps.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("external URL %q: %w", deps.ExternalURL, err)
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard) // what is worth a line is logged by writeError
	e.HTTPErrorHandler = h.writeError
	e.Use(h.secureHeaders, crossOrigin, wholeQuery, limitBody)
	for _, r := range h.routes() {
		e.Add(r.method, apiPrefix+r.path, h.identify(r.handle))
	}
	for _, r := range h.rootRoutes() {
		e.Add(r.method, r.path, r.handle)
	}
	for _, p := range h.pages() {
		e.Add(p.method, p.path, h.framed(p))
	}
	return e, nil
}

// rootRoutes are the operations outside apiPrefix. They take no credentials
// but those in their own body or cookie.
func (h *api) rootRoutes() []route {
	return append(h.loginRoutes(), route{http.MethodGet, "/api/version", apiVersion},
		route{http.MethodGet, assets.Prefix + "*", echo.WrapHandler(assets.Handler())})
}

func apiVersion(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"version": "v2.0"})
}
