package web

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/internal/disk"
)

// harborVersion is the release of Harbor whose API this is; tools choose by it
// what they may call.
const harborVersion = "v2.12.0"

func (h *api) systemRoutes() []route {
	return []route{
		{http.MethodGet, "/ping", h.ping},
		{http.MethodGet, "/health", h.getHealth},
		{http.MethodGet, "/systeminfo", h.systemInfo},
		{http.MethodGet, "/systeminfo/volumes", h.volumes},
		{http.MethodGet, "/systeminfo/getcert", h.getCert},
		{http.MethodGet, "/statistics", h.statistics},
		{http.MethodGet, "/permissions", h.permissions},
		{http.MethodGet, "/system/certificate", h.getCertificate},
		{http.MethodPut, "/system/certificate", h.replaceCertificate},
		{http.MethodDelete, "/system/certificate", h.removeCertificate},
		{http.MethodPost, "/system/certificate/renew", h.renewCertificate},
		{http.MethodPost, "/system/certificate/renew-ca", h.renewCA},
	}
}

func (h *api) ping(c echo.Context) error { return c.String(http.StatusOK, "Pong") }

// getHealth is Harbor's: 200 whatever the status is; the body tells.
func (h *api) getHealth(c echo.Context) error {
	return c.JSON(http.StatusOK, h.health.report(c.Request().Context()))
}

// infoJSON is Harbor's GeneralInfo. The anonymous see the first group only.
type infoJSON struct {
	AuthMode         string `json:"auth_mode"`
	SelfRegistration bool   `json:"self_registration"`
	BannerMessage    string `json:"banner_message,omitempty"`

	*knownInfoJSON
}

type knownInfoJSON struct {
	HarborVersion       string    `json:"harbor_version"`
	BreakwaterVersion   string    `json:"breakwater_version"`
	RegistryURL         string    `json:"registry_url"`
	ExternalURL         string    `json:"external_url"`
	CreationRestriction string    `json:"project_creation_restriction"`
	HasCARoot           bool      `json:"has_ca_root"`
	ReadOnly            bool      `json:"read_only"`
	AnonymousAccess     bool      `json:"anonymous_access"`
	CurrentTime         time.Time `json:"current_time"`
	StorageProvider     string    `json:"registry_storage_provider_name"`
}

func (h *api) systemInfo(c echo.Context) error {
	known, err := h.app.Known(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	settings := h.app.Settings()
	info := infoJSON{AuthMode: "db_auth", SelfRegistration: settings.SelfRegistration, BannerMessage: settings.Banner}
	if known {
		if info.knownInfoJSON, err = h.knownInfo(settings); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, info)
}

func (h *api) knownInfo(settings core.Settings) (*knownInfoJSON, error) {
	restriction, err := settings.Get("project_creation_restriction")
	if err != nil {
		return nil, err
	}
	return &knownInfoJSON{
		HarborVersion:       harborVersion + "-breakwater-" + h.deps.Version,
		BreakwaterVersion:   h.deps.Version,
		RegistryURL:         hostOf(h.deps.ExternalURL),
		ExternalURL:         h.deps.ExternalURL,
		CreationRestriction: restriction,
		HasCARoot:           h.caPEM() != nil,
		ReadOnly:            settings.ReadOnly,
		AnonymousAccess:     settings.AnonymousAccess,
		CurrentTime:         time.Now().UTC(),
		StorageProvider:     "filesystem",
	}, nil
}

// volumesJSON is Harbor's SystemInfo, in bytes.
type volumesJSON struct {
	Storage []volumeJSON `json:"storage"`
}

type volumeJSON struct {
	Total uint64 `json:"total"`
	Free  uint64 `json:"free"`
}

func (h *api) volumes(c echo.Context) error {
	if err := h.app.Authorize(c.Request().Context(), caller(c), core.ResSystemVolumes, core.ActRead); err != nil {
		return err
	}
	total, free, err := disk.Space(h.deps.DataDir)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, volumesJSON{[]volumeJSON{{total, free}}})
}

// getCert gives the CA to everyone: whoever is to trust it has no account yet.
func (h *api) getCert(c echo.Context) error {
	pem := h.caPEM()
	if pem == nil {
		return core.Errorf(core.CodeNotFound, "the server's certificate does not come from a CA of its own; clients need nothing special to trust it")
	}
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="ca.crt"`)
	return c.Blob(http.StatusOK, "application/x-pem-file", pem)
}

func (h *api) caPEM() []byte {
	if h.deps.Certificates == nil {
		return nil
	}
	return h.deps.Certificates.CAPEM()
}

// statisticsJSON is Harbor's Statistic. Totals and storage are a system admin's.
type statisticsJSON struct {
	PrivateProjects     int64 `json:"private_project_count"`
	PrivateRepositories int64 `json:"private_repo_count"`
	PublicProjects      int64 `json:"public_project_count"`
	PublicRepositories  int64 `json:"public_repo_count"`
	TotalProjects       int64 `json:"total_project_count"`
	TotalRepositories   int64 `json:"total_repo_count"`
	TotalStorage        int64 `json:"total_storage_consumption"`
}

func (h *api) statistics(c echo.Context) error {
	s, err := h.app.Statistics(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	answer := statisticsJSON{PrivateProjects: s.PrivateProjects, PrivateRepositories: s.PrivateRepositories,
		PublicProjects: s.PublicProjects, PublicRepositories: s.PublicRepositories}
	if s.Totals {
		answer.TotalProjects = s.PrivateProjects + s.PublicProjects
		answer.TotalRepositories = s.PrivateRepositories + s.PublicRepositories
		answer.TotalStorage = s.Bytes
	}
	return c.JSON(http.StatusOK, answer)
}

// permissionsJSON is Harbor's Permissions.
type permissionsJSON struct {
	System  []permissionJSON `json:"system,omitempty"`
	Project []permissionJSON `json:"project"`
}

func (h *api) permissions(c echo.Context) error {
	system, project, err := h.app.GrantablePermissions(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	plain := func(p core.Permission) permissionJSON { return permissionJSON{string(p.Resource), string(p.Action)} }
	return c.JSON(http.StatusOK, permissionsJSON{mapAll(system, plain), mapAll(project, plain)})
}

// certificates returns the owner of the certificate to a caller who may act on it.
func (h *api) certificates(c echo.Context, action core.Action) (Certificates, error) {
	if err := h.app.Authorize(c.Request().Context(), caller(c), core.ResCertificate, action); err != nil {
		return nil, err
	}
	if h.deps.Certificates == nil {
		return nil, core.Errorf(core.CodeNotFound, "the server speaks plain HTTP and has no certificate; start it without the http setting to use TLS")
	}
	return h.deps.Certificates, nil
}

func (h *api) getCertificate(c echo.Context) error {
	owner, err := h.certificates(c, core.ActRead)
	if err != nil {
		return err
	}
	info, err := owner.Info()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, info)
}

// changeCertificate does what description says, audited, and answers with the
// certificate that is in use afterwards.
func (h *api) changeCertificate(c echo.Context, description string, do func(Certificates, context.Context) error) error {
	owner, err := h.certificates(c, core.ActUpdate)
	if err != nil {
		return err
	}
	err = h.app.Manage(c.Request().Context(), caller(c), core.ResCertificate, description, func(ctx context.Context) error {
		return do(owner, ctx)
	})
	if err != nil {
		return err
	}
	return h.getCertificate(c)
}

func (h *api) renewCertificate(c echo.Context) error {
	return h.changeCertificate(c, "renew the server certificate", Certificates.RenewServer)
}

func (h *api) renewCA(c echo.Context) error {
	return h.changeCertificate(c, "renew the certificate authority", Certificates.RenewCA)
}

func (h *api) removeCertificate(c echo.Context) error {
	return h.changeCertificate(c, "remove the uploaded certificate", Certificates.RemoveCustom)
}

// replaceCertificate takes {"certificate": PEM with its chain, "key": PEM}.
func (h *api) replaceCertificate(c echo.Context) error {
	var body struct {
		Certificate string `json:"certificate"`
		Key         string `json:"key"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if body.Certificate == "" || body.Key == "" {
		return core.Errorf(core.CodeBadRequest, "the body needs the fields certificate and key, both in PEM")
	}
	return h.changeCertificate(c, "upload a certificate", func(owner Certificates, ctx context.Context) error {
		return owner.ReplaceServer(ctx, []byte(body.Certificate), []byte(body.Key))
	})
}
