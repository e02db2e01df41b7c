// Package web serves the REST API under /api/v2.0, which is Harbor's, and the
// pages of the user interface. It translates requests into calls of internal/app and
// errors into answers; it decides nothing about who may do what.
package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// apiPrefix is where the routes of every resource are mounted.
const apiPrefix = "/api/v2.0"

// api is the handlers of the REST API. Each resource has a file of its own
// with a method that returns its routes.
type api struct {
	app    *app.App
	deps   Deps
	health *health
	once   *once
	// streams counts the streams of events that are open.
	streams atomic.Int64
	shown   *shownOnce
}

// route is one operation of the API: a method, a path relative to apiPrefix in
// echo's syntax, and what answers it.
type route struct {
	method, path string
	handle       echo.HandlerFunc
}

// callerKey is where the middleware leaves who makes the request.
const callerKey = "breakwater.caller"

// caller returns who makes the request: anonymous unless the middleware has
// verified credentials.
func caller(c echo.Context) core.Caller {
	if known, ok := c.Get(callerKey).(core.Caller); ok {
		return known
	}
	return core.Caller{Subject: core.Anonymous, Origin: origin(c)}
}

// listQuery reads Harbor's q, sort, page and page_size parameters.
func listQuery(c echo.Context) (core.Query, error) {
	return core.ParseQuery(c.QueryParam("q"), c.QueryParam("sort"), c.QueryParam("page"), c.QueryParam("page_size"))
}

// writeList answers with one page of a list. As in Harbor, X-Total-Count holds
// the number of all that match, and Link the pages beside this one (RFC 8288).
func writeList[T any](c echo.Context, q core.Query, total int64, items []T) error {
	header := c.Response().Header()
	header.Set("X-Total-Count", strconv.FormatInt(total, 10))
	if links := pageLinks(c.Request().URL, q, total); links != "" {
		header.Set("Link", links)
	}
	if items == nil {
		items = []T{} // a list is never null
	}
	return c.JSON(http.StatusOK, items)
}

// mapAll turns a list of domain objects into what the API shows of them.
func mapAll[T, V any](items []T, view func(T) V) []V {
	shown := make([]V, len(items))
	for i, item := range items {
		shown[i] = view(item)
	}
	return shown
}

func pageLinks(u *url.URL, q core.Query, total int64) string {
	var links []string
	add := func(page int, rel string) {
		values := u.Query()
		values.Set("page", strconv.Itoa(page))
		values.Set("page_size", strconv.Itoa(q.PageSize))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", u.EscapedPath(), values.Encode(), rel))
	}
	if q.Page > 1 {
		add(q.Page-1, "prev")
	}
	if q.Offset()+int64(q.PageSize) < total {
		add(q.Page+1, "next")
	}
	return strings.Join(links, " , ")
}

// created answers 201 with the path of the new object and no body. Tools cut
// the id off the path, so it must be absolute, such as /api/v2.0/projects/7.
func created(c echo.Context, location string) error {
	c.Response().Header().Set(echo.HeaderLocation, location)
	return c.NoContent(http.StatusCreated)
}

// pathID reads a positive number from the path.
func pathID(c echo.Context, name string) (int64, error) {
	id, err := strconv.ParseInt(c.Param(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, core.Errorf(core.CodeBadRequest, "the %s in the path must be a positive number", name)
	}
	return id, nil
}

// pathText reads a name from the path with its percent encoding removed.
// Harbor's clients encode a repository name twice (a%252Fb); no name that the
// registry knows holds a percent sign, so both forms mean the same.
func pathText(c echo.Context, name string) (string, error) {
	text := c.Param(name)
	for range 2 {
		if !strings.Contains(text, "%") {
			break
		}
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return "", core.Errorf(core.CodeBadRequest, "the %s in the path is not percent-encoded correctly", name)
		}
		text = decoded
	}
	return text, nil
}

// projectRef reads {project_name_or_id}. As in Harbor, a number is an id unless
// the header X-Is-Resource-Name says that it is a name.
func projectRef(c echo.Context) core.ProjectRef {
	text := c.Param("project_name_or_id")
	if isName, err := strconv.ParseBool(c.Request().Header.Get("X-Is-Resource-Name")); err == nil && isName {
		return core.ProjectRef{Name: text}
	}
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 && !strings.HasPrefix(text, "+") {
		return core.ProjectRef{ID: id}
	}
	return core.ProjectRef{Name: text}
}

// routes is every operation under apiPrefix.
func (h *api) routes() []route {
	return slices.Concat(
		h.userRoutes(),
		h.configurationRoutes(),
		h.systemRoutes(),
		h.gcRoutes(),
		h.feedRoutes(),
		h.jobRoutes(),
		h.immutableRoutes(),
		h.trustRoutes(),
		h.retentionRoutes(),
		h.projectRoutes(),
		h.metadataRoutes(),
		h.memberRoutes(),
		h.robotRoutes(),
		h.quotaRoutes(),
		h.auditRoutes(),
		h.searchRoutes(),
		h.repositoryRoutes(),
		h.artifactRoutes(),
		h.labelRoutes(),
		h.scanRoutes(),
		h.scanAllRoutes(),
		h.scannerRoutes(),
		h.allowlistRoutes(),
		h.securityRoutes(),
		h.notificationRoutes(),
		h.openapiRoutes(),
	)
}
