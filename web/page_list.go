package web

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// windowPager is the view of the pages at path, whose filters are values, of a
// list that is not counted.
func windowPager(c echo.Context, path string, values url.Values, ends core.Ends, shown int) ui.PagerView {
	around := beside(path, values, ends, "")
	return ui.PagerView{Note: i18n.N(c.Request().Context(), "frame.shown", int64(shown)), Previous: around.Previous, Next: around.Next}
}
