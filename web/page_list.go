package web

import (
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// maxCursor bounds where a page may begin, in bytes.
const maxCursor = 512

// listCursor reads where the page of a list begins that is not counted.
func listCursor(c echo.Context) core.Cursor {
	at := core.Cursor{After: c.QueryParam("after"), Before: c.QueryParam("before"), Limit: pageRows}
	if len(at.After) > maxCursor || len(at.Before) > maxCursor {
		return core.Cursor{Limit: pageRows}
	}
	return at
}

// cursorPager is the view of the pages at path, whose filters are values, of a
// list that is not counted. The keys are those of the page's rows, in order.
func cursorPager(c echo.Context, path string, values url.Values, beside core.Beside, keys []string) ui.PagerView {
	at := func(name, key string) string {
		values.Set(name, key)
		defer values.Del(name)
		return withQuery(path, values)
	}
	view := ui.PagerView{Note: i18n.N(c.Request().Context(), "frame.shown", int64(len(keys)))}
	if len(keys) == 0 {
		return view
	}
	if beside.Before {
		view.Previous = at("before", keys[0])
	}
	if beside.After {
		view.Next = at("after", keys[len(keys)-1])
	}
	return view
}
