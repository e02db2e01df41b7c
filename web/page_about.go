package web

import (
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/assets/licences"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func (h *api) aboutPages() []page {
	return []page{
		{method: http.MethodGet, path: "/about", handle: h.aboutPage},
		{method: http.MethodGet, path: "/about/licence", handle: h.licencePage},
	}
}

// aboutPage tells what runs here, and whose work it is made of.
func (h *api) aboutPage(c echo.Context) error {
	ctx := c.Request().Context()
	book, err := licences.Read()
	if err != nil {
		return err
	}
	view := ui.AboutView{Facts: []ui.Fact{
		{Label: i18n.T(ctx, "about.version"), Value: h.deps.Version},
		{Label: i18n.T(ctx, "about.go"), Value: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{Label: i18n.T(ctx, "about.schema"), Value: strconv.Itoa(h.app.SchemaVersion())},
		{Label: i18n.T(ctx, "about.api"), Value: harborVersion},
	}}
	view.Works = mapAll(book.Works, func(w licences.Work) ui.WorkRow {
		return ui.WorkRow{Href: withQuery("/about/licence", url.Values{"of": {w.Path}}), Name: w.Path, Version: w.Version, Licences: w.Names}
	})
	return h.show(c, http.StatusOK, sectionAbout, i18n.T(ctx, "about.title"), ui.About(view))
}

// licencePage shows the licences of one work, word by word.
func (h *api) licencePage(c echo.Context) error {
	book, err := licences.Read()
	if err != nil {
		return err
	}
	path := c.QueryParam("of")
	i := slices.IndexFunc(book.Works, func(w licences.Work) bool { return w.Path == path })
	if i < 0 {
		return core.Errorf(core.CodeNotFound, "%s is not part of this program", core.Clip(path, 128))
	}
	work := book.Works[i]
	view := ui.LicenceView{Name: work.Path, Sub: work.Version + " " + work.Names, Texts: mapAll(work.Texts, func(n int) string { return book.Texts[n] })}
	return h.show(c, http.StatusOK, sectionAbout, work.Path, ui.Licence(view))
}
