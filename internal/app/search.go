package app

import (
	"context"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// maxSearchText bounds what is searched for, in bytes.
const maxSearchText = 255

// FoundRepository is a repository with what a search tells about its project.
type FoundRepository struct {
	core.Repository
	ProjectName   string
	ProjectPublic bool
}

// Search finds projects and repositories that the caller may see and whose
// names contain text, at most 100 of each.
func (a *App) Search(ctx context.Context, c core.Caller, text string) (projects []ProjectView, repositories []FoundRepository, err error) {
	if len(text) > maxSearchText {
		return nil, nil, core.Errorf(core.CodeBadRequest, "the q parameter has more than %d bytes", maxSearchText)
	}
	q := core.Query{Page: 1, PageSize: core.MaxPageSize, Filters: []core.Filter{{Field: "name", Match: core.MatchFuzzy, Values: []string{text}}}}
	err = a.view(ctx, c, func(s *session) error {
		found, _, err := s.Projects(s.visibility(), q)
		if err != nil {
			return err
		}
		if projects, err = s.views(found); err != nil {
			return err
		}
		repositories, err = s.searchRepositories(q)
		return err
	})
	return projects, repositories, err
}

func (s *session) searchRepositories(q core.Query) ([]FoundRepository, error) {
	rows, _, err := s.VisibleRepositories(s.visibleRepositories(), q)
	if err != nil {
		return nil, err
	}
	known := map[int64]core.Project{}
	all := make([]FoundRepository, len(rows))
	for i, r := range rows {
		project, ok := known[r.ProjectID]
		if !ok {
			if project, _, err = s.ProjectAccess(core.ProjectRef{ID: r.ProjectID}, 0); err != nil {
				return nil, err
			}
			known[r.ProjectID] = project
		}
		all[i] = FoundRepository{Repository: r, ProjectName: project.Name, ProjectPublic: project.Public}
	}
	return all, nil
}
