package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// metaPublic says who may see and pull from the project; it is a column of its
// own.
const metaPublic = "public"

// metaUntagged is after how many days the garbage collection removes untagged
// manifests of the project; -1, the default, keeps them.
const metaUntagged = "untagged_days"

// keptMetadata are the keys that are kept as texts, with how a value is checked.
var keptMetadata = map[string]func(value string) error{
	metaUntagged: checkUntagged,

	metaAutoScan:        checkFlag(metaAutoScan),
	metaAutoSBOM:        checkFlag(metaAutoSBOM),
	metaPrevent:         checkFlag(metaPrevent),
	metaSeverity:        checkThreshold,
	metaSystemAllowlist: checkFlag(metaSystemAllowlist),
	metaIgnoreUnfixed:   checkFlag(metaIgnoreUnfixed),
	metaUnknownSeverity: checkChoice(metaUnknownSeverity),
	metaUnscannable:     checkChoice(metaUnscannable),
	metaOtherArtifacts:  checkChoice(metaOtherArtifacts),
	metaQuarantine:      checkFlag(metaQuarantine),
	metaScanWait:        checkScanWait,
	metaTrust:           checkFlag(metaTrust),
	metaTrustCosign:     checkFlag(metaTrustCosign),
	metaTrustNotation:   checkFlag(metaTrustNotation),
}

// inertMetadata are Harbor's keys whose enforcement this release does not
// have, with the values that ask for nothing: those are what is the case
// anyway, and Harbor's clients send them. Every other value is refused, so
// that nobody relies on a protection that is not there.
var inertMetadata = map[string][]string{
	"max_upstream_conn":              {"", "-1"},
	"proxy_cache_filter_kind":        {""},
	"proxy_cache_filter_pattern":     {""},
	"proxy_cache_local_on_not_found": {"false"},
	"proxy_speed_kb":                 {"", "-1"},
	"retention_id":                   {""},
}

// checkMetadata refuses metadata that would not be enforced. It returns what
// is asked for public, nil for nothing.
func checkMetadata(values map[string]string) (public *bool, err error) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if key == metaPublic {
			if value != "true" && value != "false" {
				return nil, core.Errorf(core.CodeBadRequest, "metadata.public should only be 'true' or 'false', but got: '%s'", core.Clip(value, 64))
			}
			on := value == "true"
			public = &on
			continue
		}
		if check, ok := keptMetadata[key]; ok {
			if err := check(value); err != nil {
				return nil, err
			}
			continue
		}
		if err := checkInert(key, value); err != nil {
			return nil, err
		}
	}
	return public, nil
}

func checkInert(key, value string) error {
	allowed, known := inertMetadata[key]
	switch {
	case !known:
		return core.Errorf(core.CodeBadRequest, "invalid key: %s; project metadata has no such key", core.Clip(key, 64))
	case !slices.Contains(allowed, value):
		return core.Errorf(core.CodeBadRequest, "this release does not enforce %s, so it cannot be set to %q; leave it out",
			key, core.Clip(value, 64))
	}
	return nil
}

// setMetadata changes the metadata of a project that the caller may change.
func (s *session) setMetadata(project core.Project, values map[string]string) error {
	values, err := s.withoutRetention(project, values)
	if err != nil {
		return err
	}
	public, err := checkMetadata(values)
	if err != nil {
		return err
	}
	if err := s.keepMetadata(project, values); err != nil {
		return err
	}
	if err := s.applyPolicy(project.ID); err != nil {
		return err
	}
	if public == nil || *public == project.Public {
		return nil
	}
	if err := s.SetProjectPublic(project.ID, *public); err != nil {
		return err
	}
	return s.audit(act{operation: "update", resourceType: "project", resource: project.Name, project: project.ID,
		description: fmt.Sprintf("public: %t -> %t", project.Public, *public)})
}

// keepMetadata writes the values that are kept as texts and have been checked.
func (s *session) keepMetadata(project core.Project, values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, ok := keptMetadata[key]; !ok {
			continue
		}
		changed, err := s.SetProjectMetadata(project.ID, key, values[key])
		if err != nil {
			return err
		}
		if !changed {
			continue
		}
		err = s.audit(act{operation: "update", resourceType: "project", resource: project.Name, project: project.ID,
			description: fmt.Sprintf("%s: %s", key, core.Clip(values[key], 200))})
		if err != nil {
			return err
		}
	}
	return nil
}

// ProjectMetadata returns the metadata of a project; the values are texts, as
// in Harbor.
func (a *App) ProjectMetadata(ctx context.Context, c core.Caller, ref core.ProjectRef) (values map[string]string, err error) {
	err = a.view(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActRead)
		if err != nil {
			// A robot account may have been given list and not read.
			var e error
			if project, e = s.onProject(ref, core.ResMetadata, core.ActList); e != nil {
				return err
			}
		}
		all, err := s.metadata(project)
		if err == nil {
			values = all[0]
		}
		return err
	})
	return values, err
}

// metadata is what the API tells about each of the projects.
func (s *session) metadata(projects ...core.Project) ([]map[string]string, error) {
	ids := make([]int64, len(projects))
	for i, p := range projects {
		ids[i] = p.ID
	}
	kept, err := s.Tx.ProjectMetadata(ids...)
	if err != nil {
		return nil, err
	}
	retentions, err := s.RetentionIDs(ids...)
	all := make([]map[string]string, len(projects))
	for i, p := range projects {
		all[i] = map[string]string{metaPublic: strconv.FormatBool(p.Public)}
		maps.Copy(all[i], kept[p.ID])
		if id, ok := retentions[p.ID]; ok {
			all[i][metaRetention] = strconv.FormatInt(id, 10)
		}
	}
	return all, err
}

// SetProjectMetadata changes metadata of a project. action is ActCreate or
// ActUpdate, the right that is needed.
func (a *App) SetProjectMetadata(ctx context.Context, c core.Caller, ref core.ProjectRef, action core.Action, values map[string]string) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, action)
		if err != nil {
			return err
		}
		return s.setMetadata(project, values)
	})
}

// ChangeProjectMetadata changes metadata of a project for an editor that has
// seen was; CodeConflict when one of those has become another since.
func (a *App) ChangeProjectMetadata(ctx context.Context, c core.Caller, ref core.ProjectRef, was, values map[string]string) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActUpdate)
		if err != nil {
			return err
		}
		now, err := s.metadata(project)
		if err != nil {
			return err
		}
		for key, value := range was {
			if now[0][key] != value {
				return changedMeanwhile("the policies of " + project.Name)
			}
		}
		return s.setMetadata(project, values)
	})
}

// DeleteProjectMetadata takes a key back to its default: a project whose key
// public is deleted is private. CodeNotFound where there is no such key.
func (a *App) DeleteProjectMetadata(ctx context.Context, c core.Caller, ref core.ProjectRef, key string) error {
	return a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResMetadata, core.ActDelete)
		if err != nil {
			return err
		}
		if key == metaPublic {
			return s.setMetadata(project, map[string]string{metaPublic: "false"})
		}
		err = s.Tx.DeleteProjectMetadata(project.ID, key)
		if errors.Is(err, store.ErrNoRow) {
			return core.Errorf(core.CodeNotFound, "the project has no metadata %s", core.Clip(key, 64))
		}
		if err != nil {
			return err
		}
		if err := s.applyPolicy(project.ID); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "metadata", resource: project.Name + " " + key, project: project.ID})
	})
}
