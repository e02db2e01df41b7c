package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

const signAgainPath = "/admin/signatures"

func (h *api) trustPages() []page {
	return []page{
		{method: http.MethodGet, path: repositoryPage + "/trust", handle: h.repositoryTrustPage},
		{method: http.MethodPost, path: repositoryPage + "/trust/delete", handle: h.deleteTrustPage},
		{method: http.MethodGet, path: signAgainPath, handle: h.signAgainPage},
	}
}

const (
	tabTrust = "trust"
	// shownChanges is how many of the last changes of trust data a page shows.
	shownChanges = 10
)

// repositoryTrustPage says who signs a repository, and how one signs there.
func (h *api) repositoryTrustPage(c echo.Context) error {
	ctx := c.Request().Context()
	r, err := h.openRepository(c)
	if err != nil {
		return err
	}
	trust, err := h.app.RepositoryTrust(ctx, caller(c), r.Name)
	if err != nil {
		return err
	}
	view := ui.RepositoryTrustView{Head: h.repositoryHead(ctx, r, tabTrust), Tags: signedTags(ctx, r, trust)}
	for _, each := range trust.Collections {
		view.Collections = append(view.Collections, collectionView(ctx, r, each))
		if each.Decides {
			if view.Changes, err = h.trustChanges(c, each.Name); err != nil {
				return err
			}
		}
	}
	view.SignAgain = len(trust.Collections) > 0 && !signedHere(trust)
	if view.Commands, err = h.signCommands(c, r); err != nil {
		return err
	}
	return h.showRepository(c, http.StatusOK, r, ui.RepositoryTrust(view))
}

func signedHere(trust app.RepositoryTrust) bool {
	for _, each := range trust.Collections {
		if each.Current {
			return true
		}
	}
	return false
}

// signCommands are the commands by which the newest artifact is signed.
func (h *api) signCommands(c echo.Context, r app.OpenedRepository) (ui.SignCommands, error) {
	host := hostOf(h.deps.ExternalURL)
	commands := ui.SignCommands{Host: host, URL: strings.TrimSuffix(h.deps.ExternalURL, "/"), Image: host + "/" + r.Name, Tag: "latest", Digest: "sha256:…",
		HasCA: h.caPEM() != nil, May: r.Project.Rights.May(core.ResRepository, core.ActPush)}
	if r.Project.Rights.May(core.ResConfiguration, core.ActRead) {
		commands.Policies = projectURL(r.Project.Name, "policies")
	}
	newest, _, err := h.app.ArtifactWindow(c.Request().Context(), caller(c), r.Name, core.ArtifactFilter{}, core.Window{Size: 1})
	if err != nil || len(newest) == 0 {
		return commands, err
	}
	commands.Digest = newest[0].Digest
	if len(newest[0].Tags) > 0 {
		commands.Tag = newest[0].Tags[0].Name
	}
	return commands, nil
}

// signedTags are the tags that count, one row for each with all who signed it.
func signedTags(ctx context.Context, r app.OpenedRepository, trust app.RepositoryTrust) []ui.SignedTagRow {
	var rows []ui.SignedTagRow
	for _, group := range groups(trust.Facts, func(f core.TrustFact) string { return f.Tag + "@" + f.Digest }) {
		rows = append(rows, ui.SignedTagRow{Name: group[0].Tag, Href: repositoryURL(r.Name, "artifacts", group[0].Tag), Digest: group[0].Digest,
			At: group[0].SignedAt, Mark: signatureMark(ctx, app.Signed{Facts: group}, time.Now())})
	}
	return rows
}

func collectionView(ctx context.Context, r app.OpenedRepository, c app.Collection) ui.CollectionView {
	view := ui.CollectionView{GUN: c.Name, Current: c.Current, Decides: c.Decides, Problem: sentence(c.Problem), More: int64(c.More), Roles: []ui.TrustRole{
		{Name: "root", Keys: c.RootKeys, Expires: c.Root},
		{Name: "targets", Keys: c.RepositoryKeys, Expires: c.Targets},
		{Name: "snapshot", Server: c.ServerSnapshot, Expires: c.Snapshot},
		{Name: "timestamp", Server: true, Expires: c.Timestamp},
	}}
	for _, role := range c.Delegations {
		view.Signers = append(view.Signers, ui.TrustRole{Name: strings.TrimPrefix(role.Name, "targets/"), Keys: role.Keys, Expires: role.Expires,
			Paths: paths(ctx, role.Paths), Signed: int64(role.Signed), Problem: sentence(role.Problem)})
	}
	if r.Project.Rights.May(core.ResRepository, core.ActDelete) {
		view.Delete = &ui.Confirm{ID: "delete-trust-" + strconv.FormatInt(c.ID, 10), Title: i18n.T(ctx, "trust.delete.title", c.Name), Text: i18n.T(ctx, "trust.delete.text"),
			Action: repositoryURL(r.Name, "trust", "delete"), Verb: i18n.T(ctx, "trust.delete.verb"), Hidden: []ui.Hidden{{Name: "gun", Value: c.Name}}}
	}
	return view
}

// paths are what a signer may sign; the empty path is all.
func paths(ctx context.Context, list []string) string {
	for _, path := range list {
		if path == "" {
			return i18n.T(ctx, "trust.paths.all")
		}
	}
	return strings.Join(list, ", ")
}

// trustChanges are the last entries of Notary's changefeed, the newest first.
func (h *api) trustChanges(c echo.Context, gun string) ([]ui.Item, error) {
	ctx := c.Request().Context()
	changes, err := h.app.TUFChanges(ctx, caller(c), gun, 0, shownChanges, true)
	if err != nil {
		return nil, err
	}
	items := make([]ui.Item, len(changes))
	for i, change := range changes {
		item := ui.Item{Icon: "edit", Title: i18n.T(ctx, "trust.change.update", strconv.FormatInt(change.Version, 10)), End: i18n.Ago(ctx, change.CreatedAt, time.Now())}
		if change.Category == core.TUFDeleted {
			item.Icon, item.Title = "trash", i18n.T(ctx, "trust.change.deleted")
		}
		items[len(changes)-1-i] = item
	}
	return items, nil
}

// deleteTrustPage removes the trust data of a repository in one name.
func (h *api) deleteTrustPage(c echo.Context) error {
	name, err := repositoryName(c)
	if err != nil {
		return err
	}
	gun := c.Request().PostForm.Get("gun")
	if _, repository, ok := core.SplitGUN(gun); !ok || repository != name {
		if err := h.app.MayInProject(c.Request().Context(), caller(c), core.ProjectRef{Name: c.Param("project_name")}, core.ResRepository, core.ActDelete); err != nil {
			return err
		}
		return core.Errorf(core.CodeBadRequest, "%s is no name of %s; open the page again and try once more", core.Clip(gun, 160), name)
	}
	if err := h.app.DeleteTUF(c.Request().Context(), caller(c), gun); err != nil {
		return err
	}
	return done(c, repositoryURL(name, "trust"), "trust.toast.deleted", gun)
}

// signAgainPage lists what has to be signed again after a change of the
// registry's name.
func (h *api) signAgainPage(c echo.Context) error {
	ctx := c.Request().Context()
	names, err := h.app.SignAgain(ctx, caller(c))
	if err != nil {
		return err
	}
	view := ui.SignAgainView{Host: hostOf(h.deps.ExternalURL)}
	for _, name := range names {
		view.Repositories = append(view.Repositories, ui.Item{Icon: "layers", Title: name, Href: repositoryURL(name, "trust")})
	}
	return h.show(c, http.StatusOK, sectionOverview, i18n.T(ctx, "trust.again.title"), ui.SignAgain(view))
}

// signAgainWarning is nothing while all is signed in the name of now.
func (h *api) signAgainWarning(c echo.Context) (*ui.Item, error) {
	ctx := c.Request().Context()
	names, err := h.app.SignAgain(ctx, caller(c))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return &ui.Item{Icon: "shield-off", Tone: "warn", Href: signAgainPath, Title: i18n.N(ctx, "trust.again.warn", int64(len(names))),
		Text: i18n.T(ctx, "trust.again.warn.text", hostOf(h.deps.ExternalURL))}, nil
}
