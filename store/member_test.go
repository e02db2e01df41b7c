package store_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestMembersBelongToTheirProject(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		var ada, bob, here, there, id int64
		update(t, s, func(tx *store.Tx) (err error) {
			for name, dest := range map[string]*int64{"ada": &ada, "bob": &bob} {
				if *dest, err = tx.CreateUser(core.User{Username: name}); err != nil {
					return err
				}
			}
			for name, dest := range map[string]*int64{"here": &here, "there": &there} {
				if *dest, err = tx.CreateProject(core.Project{Name: name, OwnerName: name, QuotaHard: 10}); err != nil {
					return err
				}
			}
			if id, err = tx.AddMember(here, ada, core.RoleGuest); err != nil {
				return err
			}
			_, err = tx.AddMember(here, bob, core.RoleGuest)
			return err
		})
		refused := map[string]struct {
			fn   func(*store.Tx) error
			want error
		}{
			"twice":               {func(tx *store.Tx) error { _, err := tx.AddMember(here, ada, core.RoleDeveloper); return err }, store.ErrDuplicate},
			"role elsewhere":      {func(tx *store.Tx) error { return tx.SetMemberRole(there, id, core.RoleProjectAdmin) }, store.ErrNoRow},
			"removal elsewhere":   {func(tx *store.Tx) error { return tx.RemoveMember(there, id) }, store.ErrNoRow},
			"read elsewhere":      {func(tx *store.Tx) error { _, err := tx.Member(there, id); return err }, store.ErrNoRow},
			"of an absent person": {func(tx *store.Tx) error { _, err := tx.AddMember(there, 99, core.RoleGuest); return err }, store.ErrReferenced},
		}
		for name, r := range refused {
			if err := s.Update(t.Context(), r.fn); !errors.Is(err, r.want) {
				t.Errorf("%s = %v, want %v", name, err, r.want)
			}
		}
		update(t, s, func(tx *store.Tx) error { return tx.SetMemberRole(here, id, core.RoleMaintainer) })
		view(t, s, func(tx *store.Tx) error {
			m, err := tx.Member(here, id)
			if m != (core.Member{ID: id, ProjectID: here, UserID: ada, Username: "ada", Role: core.RoleMaintainer}) {
				t.Errorf("member = %+v, %v", m, err)
			}
			counts, err := tx.CountMembers(here)
			if !maps.Equal(counts, map[core.Role]int64{core.RoleMaintainer: 1, core.RoleGuest: 1}) {
				t.Errorf("counts = %v, %v", counts, err)
			}
			roles, err := tx.RolesOf(ada, []int64{here, there})
			if !maps.Equal(roles, map[int64]core.Role{here: core.RoleMaintainer}) {
				t.Errorf("roles = %v, %v", roles, err)
			}
			if roles, err = tx.RolesOf(ada, nil); len(roles) != 0 {
				t.Errorf("roles nowhere = %v", roles)
			}
			return err
		})
		update(t, s, func(tx *store.Tx) error { return tx.RemoveMember(here, id) })
		view(t, s, func(tx *store.Tx) error {
			members, total, err := tx.Members(here, listAll)
			if total != 1 || members[0].Username != "bob" {
				t.Errorf("members = %+v", members)
			}
			return err
		})
	})
}

func TestQuotasAreSortedByTheirNumbers(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		update(t, s, func(tx *store.Tx) error {
			for name, used := range map[string]int64{"small": 1, "large": 9, "middle": 5} {
				id, err := tx.CreateProject(core.Project{Name: name, QuotaHard: 10})
				if err != nil {
					return err
				}
				if ok, err := tx.AddUsage(id, used); err != nil || !ok {
					t.Errorf("AddUsage = %v, %v", ok, err)
				}
			}
			return nil
		})
		view(t, s, func(tx *store.Tx) error {
			q, err := core.ParseQuery("", "-used.storage", "", "2")
			if err != nil {
				return err
			}
			rows, total, err := tx.Quotas(q)
			if total != 3 || len(rows) != 2 || rows[0].Name != "large" || rows[1].Name != "middle" {
				t.Errorf("quotas = %+v", rows)
			}
			if err != nil {
				return err
			}
			if q, err = core.ParseQuery("", "name;drop table project", "", ""); err != nil {
				return err
			}
			if _, _, err := tx.Quotas(q); core.ErrorCode(err) != core.CodeBadRequest {
				t.Errorf("sorting by SQL = %v", err)
			}
			return nil
		})
	})
}
