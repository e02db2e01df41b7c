package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func (h *api) quotaRoutes() []route {
	return []route{
		{http.MethodGet, "/quotas", h.listQuotas},
		{http.MethodGet, "/quotas/", h.listQuotas}, // terraform's spelling
		{http.MethodGet, "/quotas/:id", h.getQuota},
		{http.MethodPut, "/quotas/:id", h.updateQuota},
	}
}

// storageJSON is a ResourceList of Harbor's, in bytes; -1 is no limit.
type storageJSON struct {
	Storage int64 `json:"storage"`
}

// quotaJSON is Harbor's Quota.
type quotaJSON struct {
	ID           int64        `json:"id"`
	Ref          quotaRefJSON `json:"ref"`
	Hard         storageJSON  `json:"hard"`
	Used         storageJSON  `json:"used"`
	CreationTime time.Time    `json:"creation_time"`
	UpdateTime   time.Time    `json:"update_time"`
}

type quotaRefJSON struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	OwnerName string `json:"owner_name"`
}

func newQuotaJSON(p core.Project) quotaJSON {
	return quotaJSON{ID: p.ID, Ref: quotaRefJSON{p.ID, p.Name, p.OwnerName},
		Hard: storageJSON{p.QuotaHard}, Used: storageJSON{p.QuotaUsed}, CreationTime: p.CreatedAt, UpdateTime: p.UpdatedAt}
}

// listQuotas lists those of projects; nothing else has a quota.
func (h *api) listQuotas(c echo.Context) error {
	q, err := listQuery(c)
	if err != nil {
		return err
	}
	if reference := c.QueryParam("reference"); reference != "" && reference != "project" {
		return core.Errorf(core.CodeBadRequest, "the reference of a quota is always project")
	}
	if id := c.QueryParam("reference_id"); id != "" {
		q.Filters = append(q.Filters, core.Filter{Field: "reference_id", Values: []string{id}})
	}
	projects, total, err := h.app.Quotas(c.Request().Context(), caller(c), q)
	if err != nil {
		return err
	}
	return writeList(c, q, total, mapAll(projects, newQuotaJSON))
}

func (h *api) getQuota(c echo.Context) error {
	id, err := pathID(c, "id")
	if err != nil {
		return err
	}
	project, err := h.app.Quota(c.Request().Context(), caller(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newQuotaJSON(project))
}

// updateQuota reads Harbor's QuotaUpdateReq; storage is the one resource.
func (h *api) updateQuota(c echo.Context) error {
	id, err := pathID(c, "id")
	if err != nil {
		return err
	}
	var body struct {
		Hard map[string]int64 `json:"hard"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	hard, ok := body.Hard["storage"]
	if !ok || len(body.Hard) != 1 {
		return core.Errorf(core.CodeBadRequest, `the body needs {"hard":{"storage":BYTES}} and nothing else in hard`)
	}
	if err := h.app.SetQuota(c.Request().Context(), caller(c), id, hard); err != nil {
		return err
	}
	return c.NoContent(http.StatusOK)
}
