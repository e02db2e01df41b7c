package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

var listAll = core.Query{Page: 1, PageSize: 100}

func TestRobotsKeepTheirGrants(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		pull := core.Permission{Resource: core.ResRepository, Action: core.ActPull}
		list := core.Permission{Resource: core.ResUser, Action: core.ActList}
		var project, system, own int64
		update(t, s, func(tx *store.Tx) (err error) {
			if project, err = tx.CreateProject(core.Project{Name: "p", QuotaHard: -1}); err != nil {
				return err
			}
			if own, err = tx.CreateRobot(core.Robot{Name: "robot$p+ci", ProjectID: project, SecretHash: "h", Duration: 1, ExpiresAt: day,
				Creator: "user:1", Grants: []core.RobotGrant{{ProjectID: project, Permission: pull}}}); err != nil {
				return err
			}
			system, err = tx.CreateRobot(core.Robot{Name: "robot$all", Duration: -1, Description: "d", Disabled: true, Grants: []core.RobotGrant{
				{Permission: list}, {AllProjects: true, Permission: pull}, {ProjectID: project, Permission: pull}}})
			return err
		})
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.CreateRobot(core.Robot{Name: "robot$all"})
			return err
		})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same name twice = %v", err)
		}
		view(t, s, func(tx *store.Tx) error {
			r, err := tx.RobotByName("robot$p+ci")
			if err != nil {
				return err
			}
			if r.ID != own || r.ProjectID != project || r.ProjectName != "p" || r.SecretHash != "h" || !r.ExpiresAt.Equal(day) ||
				!slices.Equal(r.Grants, []core.RobotGrant{{ProjectID: project, ProjectName: "p", Permission: pull}}) {
				t.Errorf("robot = %+v", r)
			}
			if r, err = tx.Robot(system); err != nil {
				return err
			}
			if r.ProjectID != 0 || !r.Disabled || !r.ExpiresAt.IsZero() || !slices.Equal(r.Grants, []core.RobotGrant{
				{Permission: list}, {ProjectID: project, ProjectName: "p", Permission: pull}, {AllProjects: true, Permission: pull}}) {
				t.Errorf("system robot = %+v", r)
			}
			for _, tt := range []struct{ project, want int64 }{{0, system}, {project, own}} {
				robots, total, err := tx.Robots(tt.project, listAll)
				if err != nil || total != 1 || robots[0].ID != tt.want || len(robots[0].Grants) == 0 {
					t.Errorf("Robots(%d) = %+v, %d, %v", tt.project, robots, total, err)
				}
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			if err := tx.SetRobotSecret(own, "new"); err != nil {
				return err
			}
			return tx.UpdateRobot(core.Robot{ID: own, Description: "x", Disabled: true, Duration: -1, ExpiresAt: time.Time{}, Grants: nil})
		})
		view(t, s, func(tx *store.Tx) error {
			r, err := tx.Robot(own)
			if r.SecretHash != "new" || !r.Disabled || r.Description != "x" || r.Duration != -1 || !r.ExpiresAt.IsZero() || len(r.Grants) != 0 {
				t.Errorf("updated robot = %+v", r)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error { return tx.DeleteProject(project) })
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.Robot(own); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the project's robot outlived it: %v", err)
			}
			r, err := tx.Robot(system)
			if len(r.Grants) != 2 {
				t.Errorf("grants after the project went = %+v", r.Grants)
			}
			return err
		})
		for _, fn := range []func(*store.Tx) error{
			func(tx *store.Tx) error { return tx.DeleteRobot(own) },
			func(tx *store.Tx) error { return tx.SetRobotSecret(own, "x") },
			func(tx *store.Tx) error { return tx.UpdateRobot(core.Robot{ID: own}) },
		} {
			if err := s.Update(t.Context(), fn); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("change of an absent robot = %v", err)
			}
		}
		update(t, s, func(tx *store.Tx) error { return tx.DeleteRobot(system) })
	})
}
