package web

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// allowlistForm is the form of a CVE allowlist as it is now.
func allowlistForm(l core.CVEAllowlist) ui.AllowlistForm {
	form := ui.AllowlistForm{Form: ui.NewForm(), Items: strings.Join(l.Items, "\n"), Was: l.UpdatedAt.UTC().Format(time.RFC3339Nano)}
	if !l.ExpiresAt.IsZero() {
		// It ends with the day before midnight, and is shown by the day on which it still holds.
		form.Until = l.ExpiresAt.UTC().Add(-time.Nanosecond).Format(time.DateOnly)
	}
	return form
}

// typedAllowlist reads the form as it was filled in. Ids may be apart by lines,
// blanks or commas; what is there twice counts once.
func typedAllowlist(ctx context.Context, values url.Values) (list core.CVEAllowlist, form ui.AllowlistForm) {
	form = ui.AllowlistForm{Form: ui.NewForm(), Items: values.Get("items"), Until: values.Get("until"), Was: values.Get("was")}
	list.Items = slices.Compact(slices.Sorted(slices.Values(strings.FieldsFunc(form.Items, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;", r) }))))
	list.UpdatedAt, _ = time.Parse(time.RFC3339Nano, form.Was) // without it nobody else's change is lost sight of, only not told
	if form.Until != "" {
		day, err := time.Parse(time.DateOnly, form.Until)
		if err != nil {
			form.Form.Wrong("until", i18n.T(ctx, "allowlist.until"), i18n.T(ctx, "allowlist.until.invalid"))
		}
		list.ExpiresAt = day.AddDate(0, 0, 1)
	}
	if err := list.Validate(); err != nil {
		form.Form.Wrong("items", i18n.T(ctx, "allowlist.items"), sentence(core.ErrorMessage(err)))
	}
	return list, form
}
