package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// listAll is a list request for the largest page.
var listAll = core.Query{Page: 1, PageSize: core.MaxPageSize}

var anonymous = core.Caller{Subject: core.Anonymous}

// town is two private projects and the people around them.
type town struct {
	*accounts
	admin core.Caller // of the system
	ada   core.Caller // administers the project here
	eve   core.Caller // administers the project there
	dan   core.Caller // maintains here
	gus   core.Caller // guest here
	zoe   core.Caller // is nowhere
	here  core.ProjectRef
	there core.ProjectRef
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{accounts: newAccounts(t)}
	w.bootstrap(t)
	w.admin = user(firstAdmin)
	for name, dest := range map[string]*core.Caller{"ada": &w.ada, "eve": &w.eve, "dan": &w.dan, "gus": &w.gus, "zoe": &w.zoe} {
		*dest = w.addUser(t, name)
	}
	w.here, w.there = w.project(t, w.ada, "here"), w.project(t, w.eve, "there")
	w.join(t, w.here, w.dan, core.RoleMaintainer)
	w.join(t, w.here, w.gus, core.RoleGuest)
	return w
}

// firstAdmin is the account that Bootstrap makes.
const firstAdmin = 1

func user(id int64) core.Caller {
	return core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: id}}
}

func robot(id int64) core.Caller {
	return core.Caller{Subject: core.Subject{Kind: core.KindRobot, ID: id}}
}

// addUser makes an account without the cost of a password.
func (a *accounts) addUser(t *testing.T, name string) core.Caller {
	t.Helper()
	var id int64
	a.update(t, func(tx *store.Tx) (err error) {
		id, err = tx.CreateUser(core.User{Username: name})
		return err
	})
	return user(id)
}

func (a *accounts) project(t *testing.T, c core.Caller, name string) core.ProjectRef {
	t.Helper()
	id, err := a.CreateProject(t.Context(), c, app.NewProject{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return core.ProjectRef{ID: id}
}

func (a *accounts) join(t *testing.T, p core.ProjectRef, c core.Caller, role core.Role) {
	t.Helper()
	a.update(t, func(tx *store.Tx) error {
		_, err := tx.AddMember(p.ID, c.ID, role)
		return err
	})
}

// publish adds a repository that everyone with the right can see.
func (a *accounts) publish(t *testing.T, p core.ProjectRef, full string) {
	t.Helper()
	a.update(t, func(tx *store.Tx) error {
		id, err := tx.EnsureRepository(p.ID, full)
		if err != nil {
			return err
		}
		_, err = tx.PublishRepository(id)
		return err
	})
}

func (a *accounts) configure(t *testing.T, key, value string) {
	t.Helper()
	if err := a.Configure(t.Context(), user(firstAdmin), map[string]string{key: value}); err != nil {
		t.Fatal(err)
	}
}

func TestCreatorAdministersTheProject(t *testing.T) {
	w := newTown(t)
	view, err := w.Project(t.Context(), w.ada, core.ProjectRef{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	if view.ID != w.here.ID || view.Role != core.RoleProjectAdmin || !view.Togglable || view.Public ||
		view.OwnerName != "ada" || view.OwnerID != w.ada.ID || view.QuotaHard != -1 {
		t.Errorf("project = %+v", view)
	}
	if view, err = w.Project(t.Context(), w.gus, w.here); err != nil || view.Togglable || view.Role != core.RoleGuest {
		t.Errorf("as guest = %+v, %v", view, err)
	}
	if rows := w.audited(t); !slices.Contains(rows, "ada create project here ok public: false, storage limit: -1") {
		t.Errorf("audit = %q", rows)
	}
}

func TestProjectNamesAreChecked(t *testing.T) {
	w := newTown(t)
	for _, tt := range []struct {
		name string
		want core.Code
	}{{"here", core.CodeConflict}, {"", core.CodeBadRequest}, {"Upper", core.CodeBadRequest}, {"a/b", core.CodeBadRequest}, {"17", core.CodeBadRequest}} {
		_, err := w.CreateProject(t.Context(), w.ada, app.NewProject{Name: tt.name})
		wantCode(t, "project "+tt.name, err, tt.want)
	}
}

func TestStorageLimitOfNewProjects(t *testing.T) {
	w := newTown(t)
	w.configure(t, "storage_per_project", "1000")
	for _, tt := range []struct {
		name   string
		caller core.Caller
		asked  int64
		want   core.Code
		hard   int64
	}{
		{"usual", w.zoe, 0, "", 1000},
		{"named", w.zoe, 1000, "", 1000},
		{"more", w.zoe, 1001, core.CodeForbidden, 0},
		{"boundless", w.zoe, -1, core.CodeForbidden, 0},
		{"by-admin", w.admin, -1, "", -1},
		{"nonsense", w.admin, -2, core.CodeBadRequest, 0},
	} {
		id, err := w.CreateProject(t.Context(), tt.caller, app.NewProject{Name: tt.name, StorageLimit: tt.asked})
		wantCode(t, tt.name, err, tt.want)
		if err != nil {
			continue
		}
		if view, err := w.Project(t.Context(), tt.caller, core.ProjectRef{ID: id}); err != nil || view.QuotaHard != tt.hard {
			t.Errorf("%s: %+v, %v", tt.name, view, err)
		}
	}
}

func TestWhoMayCreateProjects(t *testing.T) {
	w := newTown(t)
	create := core.RobotGrant{Permission: core.Permission{Resource: core.ResProject, Action: core.ActCreate}}
	maker := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$maker", Duration: -1, Grants: []core.RobotGrant{create}}))
	other := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$here+x", ProjectID: w.here.ID, Duration: -1}))
	try := func(what string, c core.Caller, want core.Code) {
		t.Helper()
		_, err := w.CreateProject(t.Context(), c, app.NewProject{Name: what})
		wantCode(t, what, err, want)
	}
	try("anonymous", anonymous, core.CodeUnauthorized)
	try("user", w.zoe, "")
	try("robot", maker, "")
	try("plain-robot", other, core.CodeForbidden)
	w.configure(t, "project_creation_restriction", "adminonly")
	try("user-again", w.zoe, core.CodeForbidden)
	try("robot-again", maker, "")
	try("admin", w.admin, "")
	view, err := w.Project(t.Context(), w.admin, core.ProjectRef{Name: "robot"})
	if err != nil || view.OwnerName != "admin" || view.Role != core.RoleProjectAdmin {
		t.Errorf("a robot's project = %+v, %v", view, err)
	}
}

func TestListShowsWhatOneMaySee(t *testing.T) {
	w := newTown(t)
	if _, err := w.CreateProject(t.Context(), w.admin, app.NewProject{Name: "open", Metadata: map[string]string{"public": "true"}}); err != nil {
		t.Fatal(err)
	}
	reader := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$r", Duration: -1, Grants: []core.RobotGrant{
		{ProjectID: w.there.ID, Permission: core.Permission{Resource: core.ResRepository, Action: core.ActPull}}}}))
	want := func(c core.Caller, names ...string) {
		t.Helper()
		projects, total, err := w.Projects(t.Context(), c, listAll)
		var got []string
		for _, p := range projects {
			got = append(got, p.Name)
		}
		if err != nil || total != int64(len(names)) || !slices.Equal(got, names) {
			t.Errorf("%v sees %v (%d), %v; want %v", c.Subject, got, total, err, names)
		}
	}
	want(w.admin, "here", "open", "there")
	want(w.ada, "here", "open")
	want(w.zoe, "open")
	want(reader, "open", "there")
	want(anonymous, "open")
	w.configure(t, "anonymous_access", "false")
	want(anonymous)
	want(w.zoe, "open")
}

// A project that one may not see answers as one that does not exist, whatever
// is asked about it.
func TestHiddenProjectsLookAbsent(t *testing.T) {
	w := newTown(t)
	operations := map[string]func(core.Caller, core.ProjectRef) error{
		"read":   func(c core.Caller, p core.ProjectRef) error { _, err := w.Project(t.Context(), c, p); return err },
		"update": func(c core.Caller, p core.ProjectRef) error { return w.UpdateProject(t.Context(), c, p, nil, nil) },
		"delete": func(c core.Caller, p core.ProjectRef) error { return w.DeleteProject(t.Context(), c, p) },
		"deletable": func(c core.Caller, p core.ProjectRef) error {
			_, err := w.ProjectDeletable(t.Context(), c, p)
			return err
		},
		"summary": func(c core.Caller, p core.ProjectRef) error {
			_, err := w.ProjectSummary(t.Context(), c, p)
			return err
		},
		"metadata": func(c core.Caller, p core.ProjectRef) error {
			_, err := w.ProjectMetadata(t.Context(), c, p)
			return err
		},
		"set metadata": func(c core.Caller, p core.ProjectRef) error {
			return w.SetProjectMetadata(t.Context(), c, p, core.ActUpdate, map[string]string{"public": "true"})
		},
		"unset metadata": func(c core.Caller, p core.ProjectRef) error {
			return w.DeleteProjectMetadata(t.Context(), c, p, "public")
		},
		"members": func(c core.Caller, p core.ProjectRef) error {
			_, _, err := w.Members(t.Context(), c, p, "", listAll)
			return err
		},
		"member": func(c core.Caller, p core.ProjectRef) error { _, err := w.Member(t.Context(), c, p, 1); return err },
		"add member": func(c core.Caller, p core.ProjectRef) error {
			_, _, err := w.AddMember(t.Context(), c, p, core.User{ID: c.ID}, core.RoleProjectAdmin)
			return err
		},
		"role": func(c core.Caller, p core.ProjectRef) error {
			return w.SetMemberRole(t.Context(), c, p, 1, core.RoleGuest)
		},
		"remove": func(c core.Caller, p core.ProjectRef) error { return w.RemoveMember(t.Context(), c, p, 1) },
		"log": func(c core.Caller, p core.ProjectRef) error {
			_, _, err := w.ProjectLog(t.Context(), c, p, listAll)
			return err
		},
	}
	for name, op := range operations {
		for _, c := range []core.Caller{w.zoe, w.eve, anonymous} {
			want := core.CodeForbidden
			if c.Kind == core.KindAnonymous {
				want = core.CodeUnauthorized
			}
			byName, absent := op(c, core.ProjectRef{Name: "here"}), op(c, core.ProjectRef{Name: "nope"})
			wantCode(t, name+" by "+c.Subject.String(), byName, want)
			if got, want := strings.ReplaceAll(core.ErrorMessage(byName), "here", "nope"), core.ErrorMessage(absent); got != want {
				t.Errorf("%s tells hidden from absent: %q and %q", name, got, want)
			}
			byID, absent := op(c, w.here), op(c, core.ProjectRef{ID: 9})
			wantCode(t, name+" by id", byID, want)
			if got, want := strings.ReplaceAll(core.ErrorMessage(byID), "project 1", "project 9"), core.ErrorMessage(absent); got != want {
				t.Errorf("%s tells hidden from absent: %q and %q", name, got, want)
			}
		}
	}
	_, err := w.Project(t.Context(), w.admin, core.ProjectRef{Name: "nope"})
	wantCode(t, "absent to the admin", err, core.CodeNotFound)
	if rows := w.audited(t); !slices.Contains(rows, "zoe read project project here failed denied") {
		t.Errorf("denials are not audited: %q", rows)
	}
}

func TestDeleteProject(t *testing.T) {
	w := newTown(t)
	wantCode(t, "by a maintainer", w.DeleteProject(t.Context(), w.dan, w.here), core.CodeForbidden)
	w.publish(t, w.here, "here/app")
	if reason, err := w.ProjectDeletable(t.Context(), w.ada, w.here); err != nil || reason != "the project contains repositories, can not be deleted" {
		t.Errorf("deletable = %q, %v", reason, err)
	}
	err := w.DeleteProject(t.Context(), w.ada, w.here)
	wantCode(t, "with a repository", err, core.CodePrecondition)
	if err.Error() != "the project contains repositories, can not be deleted" {
		t.Errorf("text = %q", err)
	}
	if err := w.DeleteRepository(t.Context(), w.ada, "here/app"); err != nil {
		t.Fatal(err)
	}
	// A push that has not ended does not hold the project.
	w.update(t, func(tx *store.Tx) error {
		_, err := tx.EnsureRepository(w.here.ID, "here/half")
		return err
	})
	if reason, err := w.ProjectDeletable(t.Context(), w.ada, w.here); err != nil || reason != "" {
		t.Errorf("deletable = %q, %v", reason, err)
	}
	if err := w.DeleteProject(t.Context(), w.ada, w.here); err != nil {
		t.Fatal(err)
	}
	_, err = w.Project(t.Context(), w.admin, w.here)
	wantCode(t, "after", err, core.CodeNotFound)
	if id := w.project(t, w.ada, "here"); id == w.here {
		t.Error("a new project has the id of the old one, and so its audit rows")
	}
}

func TestSummaryShowsWhatOneMaySee(t *testing.T) {
	w := newTown(t)
	w.publish(t, w.here, "here/app")
	sum, err := w.ProjectSummary(t.Context(), w.gus, w.here)
	if err != nil || sum.RepoCount != 1 || sum.Quota == nil || *sum.Quota != (app.Quota{Hard: -1}) ||
		sum.Members[core.RoleProjectAdmin] != 1 || sum.Members[core.RoleMaintainer] != 1 || sum.Members[core.RoleGuest] != 1 {
		t.Errorf("summary for a guest = %+v, %v", sum, err)
	}
	if err := w.UpdateProject(t.Context(), w.ada, w.here, map[string]string{"public": "true"}, nil); err != nil {
		t.Fatal(err)
	}
	if sum, err = w.ProjectSummary(t.Context(), anonymous, w.here); err != nil || sum.RepoCount != 1 || sum.Quota != nil || sum.Members != nil {
		t.Errorf("summary for anyone = %+v, %v", sum, err)
	}
}

func TestSearchFindsWhatOneMaySee(t *testing.T) {
	w := newTown(t)
	w.publish(t, w.here, "here/app")
	w.publish(t, w.there, "there/app")
	w.update(t, func(tx *store.Tx) error {
		_, err := tx.EnsureRepository(w.here.ID, "here/app-unpublished")
		return err
	})
	if err := w.UpdateProject(t.Context(), w.eve, w.there, map[string]string{"public": "true"}, nil); err != nil {
		t.Fatal(err)
	}
	want := func(c core.Caller, text string, projects, repositories []string) {
		t.Helper()
		p, r, err := w.Search(t.Context(), c, text)
		var names, full []string
		for _, v := range p {
			names = append(names, v.Name)
		}
		for _, v := range r {
			full = append(full, v.Name)
			if v.ProjectName+"/app" != v.Name || v.ProjectPublic != (v.ProjectName == "there") {
				t.Errorf("found %+v", v)
			}
		}
		if err != nil || !slices.Equal(names, projects) || !slices.Equal(full, repositories) {
			t.Errorf("%v finds %v and %v, %v; want %v and %v", c.Subject, names, full, err, projects, repositories)
		}
	}
	want(w.ada, "ERE", []string{"here", "there"}, []string{"here/app", "there/app"})
	want(w.zoe, "ere", []string{"there"}, []string{"there/app"})
	want(anonymous, "app", nil, []string{"there/app"})
	want(w.ada, "%", nil, nil)
	w.configure(t, "anonymous_access", "false")
	want(anonymous, "", nil, nil)
	_, _, err := w.Search(t.Context(), w.ada, strings.Repeat("a", 256))
	wantCode(t, "long text", err, core.CodeBadRequest)
}
