package ui

import "context"

func renewCADialog(ctx context.Context) Confirm {
	return Confirm{ID: "dialog-ca", Action: "/admin/certificate/renew-ca", Title: t(ctx, "certificate.renew-ca.title"),
		Text: t(ctx, "certificate.renew-ca.sure"), Verb: t(ctx, "certificate.renew-ca.do")}
}

func removeCertificateDialog(ctx context.Context) Confirm {
	return Confirm{ID: "dialog-remove", Action: "/admin/certificate/remove", Title: t(ctx, "certificate.remove.title"),
		Text: t(ctx, "certificate.remove.text"), Verb: t(ctx, "certificate.remove.do")}
}
