package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// repositoryTrustJSON is who signs a repository with Notary, and what.
type repositoryTrustJSON struct {
	GUN         string           `json:"gun"` // to sign by
	Collections []collectionJSON `json:"collections"`
	Tags        []signedTagJSON  `json:"signed_tags"`
}

// collectionJSON is a trusted collection of a repository.
type collectionJSON struct {
	GUN     string `json:"gun"`
	Current bool   `json:"current"` // in the name that the registry has now
	Decides bool   `json:"decides"` // its signatures are those of the repository
	core.TUFView
	Delegations []core.TUFRole `json:"delegations"` // never null
}

// signedTagJSON is a tag that a key signs for a digest.
type signedTagJSON struct {
	Tag        string    `json:"tag"`
	Digest     string    `json:"digest"`
	Signer     string    `json:"signer"`
	KeyID      string    `json:"key_id"`
	Status     string    `json:"status"` // verified or expired
	SignedAt   time.Time `json:"signed_at"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

func viewCollection(c app.Collection) collectionJSON {
	v := collectionJSON{GUN: c.Name, Current: c.Current, Decides: c.Decides, TUFView: c.TUFView, Delegations: c.Delegations}
	if v.Delegations == nil {
		v.Delegations = []core.TUFRole{}
	}
	return v
}

func viewSignedTag(f core.TrustFact) signedTagJSON {
	v := signedTagJSON{Tag: f.Tag, Digest: f.Digest, Signer: f.Signer, KeyID: f.KeyID, Status: string(core.SignatureVerified),
		SignedAt: f.SignedAt, ValidUntil: f.ValidUntil}
	if !f.Valid(time.Now()) {
		v.Status = string(core.SignatureExpired)
	}
	return v
}

func (h *api) getRepositoryTrust(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	trust, err := h.app.RepositoryTrust(c.Request().Context(), caller(c), name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, repositoryTrustJSON{GUN: trust.Canonical, Collections: mapAll(trust.Collections, viewCollection),
		Tags: mapAll(trust.Facts, viewSignedTag)})
}

// signAgainJSON is what has to be signed again after the registry got another
// name.
type signAgainJSON struct {
	Host         string   `json:"host"`
	Repositories []string `json:"repositories"`
}

func (h *api) listSignAgain(c echo.Context) error {
	names, err := h.app.SignAgain(c.Request().Context(), caller(c))
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{}
	}
	return c.JSON(http.StatusOK, signAgainJSON{hostOf(h.deps.ExternalURL), names})
}
