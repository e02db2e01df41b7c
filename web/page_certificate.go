package web

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const certificatePath = "/admin/certificate"

func (h *api) certificatePages() []page {
	return []page{
		{method: http.MethodGet, path: "/certificate", handle: h.trustPage, open: true},
		{method: http.MethodGet, path: certificatePath, handle: h.certificatePage},
		{method: http.MethodPost, path: certificatePath, handle: h.uploadCertificatePage},
		{method: http.MethodPost, path: certificatePath + "/renew", handle: h.certificateAction("renew the server certificate", "certificate.toast.renewed", Certificates.RenewServer)},
		{method: http.MethodPost, path: certificatePath + "/renew-ca", handle: h.certificateAction("renew the certificate authority", "certificate.toast.ca", Certificates.RenewCA)},
		{method: http.MethodPost, path: certificatePath + "/remove", handle: h.certificateAction("remove the uploaded certificate", "certificate.toast.removed", Certificates.RemoveCustom)},
	}
}

// trustPage tells everyone how a machine comes to trust the registry: whoever
// has to know it has no account yet.
func (h *api) trustPage(c echo.Context) error {
	ctx := c.Request().Context()
	view := ui.TrustView{Host: hostOf(h.deps.ExternalURL), URL: h.deps.ExternalURL, Plain: strings.HasPrefix(h.deps.ExternalURL, "http:")}
	if text := h.caPEM(); text != nil {
		view.HasCA, view.Fingerprint = true, fingerprintOf(text)
	}
	return h.show(c, http.StatusOK, "", i18n.T(ctx, "certificate.trust"), ui.Trust(view))
}

// fingerprintOf is the SHA-256 of the first certificate in PEM, as openssl
// prints it.
func fingerprintOf(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
}

// certificateView is the certificate in use.
func (h *api) certificateView(c echo.Context) (ui.CertificateView, error) {
	view := ui.CertificateView{Form: ui.NewForm(), Plain: h.deps.Certificates == nil}
	if err := h.app.Authorize(c.Request().Context(), caller(c), core.ResCertificate, core.ActRead); err != nil || view.Plain {
		return view, err
	}
	info, err := h.deps.Certificates.Info()
	if err != nil {
		return view, err
	}
	view.Source, view.Subject, view.Issuer, view.Names = info.Source, info.Subject, info.Issuer, info.SANs
	view.From, view.Until, view.Fingerprint = info.NotBefore, info.NotAfter, info.Fingerprint
	view.CAFingerprint, view.CAUntil = info.CAFingerprint, info.CANotAfter
	return view, nil
}

func (h *api) showCertificate(c echo.Context, status int, view ui.CertificateView) error {
	return h.show(c, status, sectionCert, i18n.T(c.Request().Context(), "certificate.title"), ui.CertificatePage(view))
}

func (h *api) certificatePage(c echo.Context) error {
	view, err := h.certificateView(c)
	if err != nil {
		return err
	}
	return h.showCertificate(c, http.StatusOK, view)
}

// manageCertificate does what description says, audited.
func (h *api) manageCertificate(c echo.Context, description string, do func(Certificates, context.Context) error) error {
	owner, err := h.certificates(c, core.ActUpdate)
	if err != nil {
		return err
	}
	return h.app.Manage(c.Request().Context(), caller(c), core.ResCertificate, description, func(ctx context.Context) error { return do(owner, ctx) })
}

func (h *api) certificateAction(description, toast string, do func(Certificates, context.Context) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := h.manageCertificate(c, description, do); err != nil {
			return err
		}
		return done(c, certificatePath, toast)
	}
}

// uploadCertificatePage takes a certificate and its key. The key is not sent
// back when something is wrong with them.
func (h *api) uploadCertificatePage(c echo.Context) error {
	ctx := c.Request().Context()
	form := c.Request().PostForm
	view, err := h.certificateView(c)
	if err != nil {
		return err
	}
	view.Typed = form.Get("certificate")
	err = h.manageCertificate(c, "upload a certificate", func(owner Certificates, ctx context.Context) error {
		return owner.ReplaceServer(ctx, []byte(form.Get("certificate")), []byte(form.Get("key")))
	})
	if core.ErrorCode(err) == core.CodeBadRequest {
		view.Form.Wrong("certificate", i18n.T(ctx, "certificate.pem"), sentence(core.ErrorMessage(err)))
		return h.showCertificate(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return done(c, certificatePath, "certificate.toast.uploaded")
}
