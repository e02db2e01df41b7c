package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) trustRoutes() []route {
	const path = projectPath + "/trust/anchors"
	return []route{
		{http.MethodGet, path, h.listTrustAnchors},
		{http.MethodPost, path, h.createTrustAnchor},
		{http.MethodGet, path + "/:anchor_id", h.getTrustAnchor},
		{http.MethodPut, path + "/:anchor_id", h.changeTrustAnchor},
		{http.MethodDelete, path + "/:anchor_id", h.deleteTrustAnchor},
		{http.MethodGet, "/projects/:project_name/repositories/:repository_name/trust", h.getRepositoryTrust},
		{http.MethodGet, "/system/trust/sign-again", h.listSignAgain},
	}
}

// trustAnchorJSON is something that a project trusts signatures by. Harbor has
// nothing like it.
type trustAnchorJSON struct {
	ID           int64                 `json:"id"`
	ProjectID    int64                 `json:"project_id"`
	Type         core.AnchorType       `json:"type"`
	Name         string                `json:"name"`
	Content      string                `json:"content,omitempty"`
	Issuer       string                `json:"issuer,omitempty"`
	Subject      string                `json:"subject,omitempty"`
	Regexp       bool                  `json:"subject_is_regexp,omitempty"`
	Store        core.CertificateStore `json:"store,omitempty"`
	KeyID        string                `json:"key_id"`
	NotAfter     time.Time             `json:"not_after,omitzero"`
	ExpiresAt    time.Time             `json:"expires_at,omitzero"`
	CreatedBy    string                `json:"created_by"`
	CreationTime time.Time             `json:"creation_time"`
}

func viewTrustAnchor(a core.TrustAnchor) trustAnchorJSON {
	return trustAnchorJSON{ID: a.ID, ProjectID: a.ProjectID, Type: a.Type, Name: a.Name, Content: a.Content, Issuer: a.Issuer, Subject: a.Subject,
		Regexp: a.Pattern, Store: a.Store, KeyID: a.KeyID, NotAfter: a.NotAfter, ExpiresAt: a.ExpiresAt, CreatedBy: a.CreatedBy, CreationTime: a.CreatedAt}
}

func (h *api) listTrustAnchors(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	list, total, err := h.app.TrustAnchors(c.Request().Context(), caller(c), projectRef(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, viewTrustAnchor))
}

// createTrustAnchor takes what a caller may choose; the rest follows from it.
func (h *api) createTrustAnchor(c echo.Context) error {
	var body trustAnchorJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	id, err := h.app.CreateTrustAnchor(c.Request().Context(), caller(c), projectRef(c), body.chosen())
	if err != nil {
		return err
	}
	return createdBelow(c, id)
}

func (b trustAnchorJSON) chosen() core.TrustAnchor {
	return core.TrustAnchor{Type: b.Type, Name: b.Name, Content: b.Content, Issuer: b.Issuer, Subject: b.Subject, Pattern: b.Regexp,
		Store: b.Store, ExpiresAt: b.ExpiresAt}
}

func (h *api) getTrustAnchor(c echo.Context) error {
	id, err := pathID(c, "anchor_id")
	if err != nil {
		return err
	}
	anchor, err := h.app.TrustAnchor(c.Request().Context(), caller(c), projectRef(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewTrustAnchor(anchor))
}

// changeTrustAnchor takes what createTrustAnchor does, in place of what is there.
func (h *api) changeTrustAnchor(c echo.Context) error {
	id, err := pathID(c, "anchor_id")
	if err != nil {
		return err
	}
	var body trustAnchorJSON
	if err := bind(c, &body); err != nil {
		return err
	}
	anchor := body.chosen()
	anchor.ID = id
	if err := h.app.ChangeTrustAnchor(c.Request().Context(), caller(c), projectRef(c), anchor); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

func (h *api) deleteTrustAnchor(c echo.Context) error {
	id, err := pathID(c, "anchor_id")
	if err != nil {
		return err
	}
	if err := h.app.DeleteTrustAnchor(c.Request().Context(), caller(c), projectRef(c), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}

// signatureJSON is one signature of an artifact.
type signatureJSON struct {
	ID         int64          `json:"id"`
	Kind       core.TrustKind `json:"kind"`
	Format     string         `json:"format"`
	Manifest   string         `json:"manifest_digest"`
	Entry      int64          `json:"entry"`
	Status     string         `json:"status"` // verified, expired or invalid
	Reason     string         `json:"reason,omitempty"`
	KeyID      string         `json:"key_id,omitempty"`
	Signer     string         `json:"signer,omitempty"`
	SignedAt   time.Time      `json:"signed_at,omitzero"`
	ValidUntil time.Time      `json:"valid_until,omitzero"`
	CheckTime  time.Time      `json:"check_time"`
}

func viewSignature(s core.Signature) signatureJSON {
	return signatureJSON{ID: s.ID, Kind: s.Kind, Format: s.Format, Manifest: s.Manifest, Entry: s.Entry, Status: string(s.Status(time.Now())),
		Reason: s.Reason, KeyID: s.KeyID, Signer: s.Signer, SignedAt: s.SignedAt, ValidUntil: s.ValidUntil, CheckTime: s.CheckedAt}
}

func (h *api) listSignatures(c echo.Context) error {
	repository, reference, err := artifactPath(c)
	if err != nil {
		return err
	}
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	list, total, err := h.app.Signatures(c.Request().Context(), caller(c), repository, reference, q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(list, viewSignature))
}
