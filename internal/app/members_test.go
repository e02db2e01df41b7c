package app_test

import (
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// memberID finds the user's membership.
func (w *town) memberID(t *testing.T, p core.ProjectRef, username string) int64 {
	t.Helper()
	members, _, err := w.Members(t.Context(), w.admin, p, username, listAll)
	if err != nil || len(members) != 1 {
		t.Fatalf("members named %s = %+v, %v", username, members, err)
	}
	return members[0].ID
}

func TestMemberLifecycle(t *testing.T) {
	w := newTown(t)
	projectID, id, err := w.AddMember(t.Context(), w.ada, core.ProjectRef{Name: "here"}, core.User{Username: "ZOE"}, core.RoleDeveloper)
	if err != nil || projectID != w.here.ID {
		t.Fatalf("AddMember = %d, %v", projectID, err)
	}
	m, err := w.Member(t.Context(), w.gus, w.here, id)
	if err != nil || m != (core.Member{ID: id, ProjectID: w.here.ID, UserID: w.zoe.ID, Username: "zoe", Role: core.RoleDeveloper}) {
		t.Errorf("member = %+v, %v", m, err)
	}
	if err := w.SetMemberRole(t.Context(), w.ada, w.here, id, core.RoleLimitedGuest); err != nil {
		t.Fatal(err)
	}
	_, err = w.Member(t.Context(), w.zoe, w.here, id)
	wantCode(t, "a limited guest reads members", err, core.CodeForbidden)
	if err := w.RemoveMember(t.Context(), w.ada, w.here, id); err != nil {
		t.Fatal(err)
	}
	_, err = w.Project(t.Context(), w.zoe, w.here)
	wantCode(t, "after removal", err, core.CodeForbidden)
	wantCode(t, "second removal", w.RemoveMember(t.Context(), w.ada, w.here, id), core.CodeNotFound)
	for _, row := range []string{"ada create member zoe ok developer in here", "ada update member zoe ok developer -> limitedGuest in here",
		"ada delete member zoe ok limitedGuest in here"} {
		if rows := w.audited(t); !slices.Contains(rows, row) {
			t.Errorf("%q is not in %q", row, rows)
		}
	}
}

func TestMemberRules(t *testing.T) {
	w := newTown(t)
	add := func(what string, c core.Caller, u core.User, role core.Role, want core.Code) {
		t.Helper()
		_, _, err := w.AddMember(t.Context(), c, w.here, u, role)
		wantCode(t, what, err, want)
	}
	add("twice", w.ada, core.User{Username: "gus"}, core.RoleDeveloper, core.CodeConflict)
	add("nobody", w.ada, core.User{Username: "nobody"}, core.RoleDeveloper, core.CodeBadRequest)
	add("no name", w.ada, core.User{}, core.RoleDeveloper, core.CodeBadRequest)
	add("no role", w.ada, core.User{ID: w.zoe.ID}, 0, core.CodeBadRequest)
	add("the public role", w.ada, core.User{ID: w.zoe.ID}, core.RolePublic, core.CodeBadRequest)
	add("a role too many", w.ada, core.User{ID: w.zoe.ID}, 6, core.CodeBadRequest)
	add("by a maintainer", w.dan, core.User{ID: w.zoe.ID}, core.RoleGuest, core.CodeForbidden)
	add("oneself", w.zoe, core.User{ID: w.zoe.ID}, core.RoleProjectAdmin, core.CodeForbidden)
	add("by id", w.ada, core.User{ID: w.zoe.ID}, core.RoleGuest, "")
	wantCode(t, "maintainer raises himself", w.SetMemberRole(t.Context(), w.dan, w.here, w.memberID(t, w.here, "dan"), core.RoleProjectAdmin), core.CodeForbidden)
	wantCode(t, "guest raises himself", w.SetMemberRole(t.Context(), w.gus, w.here, w.memberID(t, w.here, "gus"), core.RoleProjectAdmin), core.CodeForbidden)
	wantCode(t, "role 0", w.SetMemberRole(t.Context(), w.ada, w.here, w.memberID(t, w.here, "gus"), 0), core.CodeBadRequest)
	wantCode(t, "the last admin goes", w.RemoveMember(t.Context(), w.ada, w.here, w.memberID(t, w.here, "ada")), "")
}

// The id of a member of another project is absent in one's own (CVE-2022-31666
// and its kin).
func TestMembersOfOtherProjectsAreAbsent(t *testing.T) {
	w := newTown(t)
	foreign := w.memberID(t, w.there, "eve")
	_, err := w.Member(t.Context(), w.ada, w.here, foreign)
	wantCode(t, "read", err, core.CodeNotFound)
	wantCode(t, "change", w.SetMemberRole(t.Context(), w.ada, w.here, foreign, core.RoleGuest), core.CodeNotFound)
	wantCode(t, "removal", w.RemoveMember(t.Context(), w.ada, w.here, foreign), core.CodeNotFound)
	if m, err := w.Member(t.Context(), w.eve, w.there, foreign); err != nil || m.Role != core.RoleProjectAdmin {
		t.Errorf("eve = %+v, %v", m, err)
	}
}

// A robot account that manages members must not make one that is more than it.
func TestRobotsGiveOnlyRolesTheyCover(t *testing.T) {
	w := newTown(t)
	grant := func(p ...core.Permission) (grants []core.RobotGrant) {
		for _, p := range p {
			grants = append(grants, core.RobotGrant{ProjectID: w.here.ID, Permission: p})
		}
		return grants
	}
	_, everything := core.GrantablePermissions()
	manage := []core.Permission{{Resource: core.ResMember, Action: core.ActCreate}, {Resource: core.ResMember, Action: core.ActUpdate}}
	weak := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$here+weak", ProjectID: w.here.ID, Duration: -1, Grants: grant(manage...)}))
	full := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$here+full", ProjectID: w.here.ID, Duration: -1, Grants: grant(everything...)}))
	_, _, err := w.AddMember(t.Context(), weak, w.here, core.User{ID: w.zoe.ID}, core.RoleProjectAdmin)
	wantCode(t, "weak robot makes an admin", err, core.CodeDenied)
	wantCode(t, "weak robot raises a guest", w.SetMemberRole(t.Context(), weak, w.here, w.memberID(t, w.here, "gus"), core.RoleProjectAdmin), core.CodeDenied)
	_, _, err = w.AddMember(t.Context(), full, w.here, core.User{ID: w.zoe.ID}, core.RoleProjectAdmin)
	wantCode(t, "full robot makes an admin", err, "")
}

func TestMembersGoWithTheirAccount(t *testing.T) {
	w := newTown(t)
	w.update(t, func(tx *store.Tx) error { return tx.DeleteUser(w.gus.ID) })
	members, total, err := w.Members(t.Context(), w.ada, w.here, "", listAll)
	if err != nil || total != 2 || members[0].Username != "ada" || members[1].Username != "dan" {
		t.Errorf("members = %+v, %v", members, err)
	}
}
