package app_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

var (
	pull   = core.Permission{Resource: core.ResRepository, Action: core.ActPull}
	push   = core.Permission{Resource: core.ResRepository, Action: core.ActPush}
	manage = core.Permission{Resource: core.ResRobot, Action: core.ActCreate}
	change = core.Permission{Resource: core.ResRobot, Action: core.ActUpdate}
	read   = core.Permission{Resource: core.ResRobot, Action: core.ActRead}
)

// in is a permission of a robot account in one project.
func in(project string, access ...core.Permission) app.RobotPermission {
	return app.RobotPermission{Kind: "project", Namespace: project, Access: access}
}

func onSystem(access ...core.Permission) app.RobotPermission {
	return app.RobotPermission{Kind: "system", Namespace: "/", Access: access}
}

func projectRobot(name string, permissions ...app.RobotPermission) app.RobotSpec {
	return app.RobotSpec{Name: name, Level: "project", Duration: -1, Permissions: permissions}
}

func systemRobot(name string, permissions ...app.RobotPermission) app.RobotSpec {
	return app.RobotSpec{Name: name, Level: "system", Duration: -1, Permissions: permissions}
}

// makeRobot returns the new robot account as a caller, and its secret.
func (w *town) makeRobot(t *testing.T, c core.Caller, spec app.RobotSpec) (core.Caller, string) {
	t.Helper()
	r, secret, err := w.CreateRobot(t.Context(), c, spec)
	if err != nil {
		t.Fatal(err)
	}
	return robot(r.ID), secret
}

func TestRobotLifecycle(t *testing.T) {
	w := newTown(t)
	spec := projectRobot("ci", in("here", pull, push, pull))
	spec.Description, spec.Duration = "builds", 7
	made, secret, err := w.CreateRobot(t.Context(), w.ada, spec)
	if err != nil || made.Name != "robot$here+ci" || !strings.HasPrefix(secret, "bwr_") {
		t.Fatalf("CreateRobot = %+v, %v", made, err)
	}
	login := func(secret string, want core.Code) {
		t.Helper()
		subject, err := w.Authenticate(t.Context(), made.Name, secret, here)
		wantCode(t, "login", err, want)
		if err == nil && subject != robot(made.ID).Subject {
			t.Errorf("logged in as %v", subject)
		}
	}
	login(secret, "")
	r, err := w.Robot(t.Context(), w.ada, made.ID)
	if err != nil || r.Duration != 7 || !r.ExpiresAt.Equal(r.CreatedAt.AddDate(0, 0, 7)) || r.Creator != w.ada.Subject.String() || len(r.Grants) != 2 {
		t.Errorf("robot = %+v, %v", r, err)
	}

	renewed, err := w.RenewRobotSecret(t.Context(), w.ada, made.ID, "")
	if err != nil || renewed == "" || renewed == secret {
		t.Fatalf("renewed secret %q, %v", renewed, err)
	}
	login(secret, core.CodeUnauthorized) // although it was verified a moment ago
	login(renewed, "")
	if _, err := w.RenewRobotSecret(t.Context(), w.ada, made.ID, "Short1"); core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("a short secret = %v", err)
	}
	const chosen = "Long-enough-and-random-1"
	if told, err := w.RenewRobotSecret(t.Context(), w.ada, made.ID, chosen); err != nil || told != "" {
		t.Errorf("a chosen secret = %q, %v", told, err)
	}
	login(chosen, "")

	spec.Name, spec.Disabled, spec.Duration, spec.Permissions = made.Name, true, -1, []app.RobotPermission{in("here", pull)}
	if err := w.UpdateRobot(t.Context(), w.ada, made.ID, spec); err != nil {
		t.Fatal(err)
	}
	login(chosen, core.CodeUnauthorized)
	if r, err = w.Robot(t.Context(), w.ada, made.ID); err != nil || !r.Disabled || !r.ExpiresAt.IsZero() || len(r.Grants) != 1 {
		t.Errorf("updated robot = %+v, %v", r, err)
	}
	if err := w.DeleteRobot(t.Context(), w.ada, made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = w.Robot(t.Context(), w.ada, made.ID)
	wantCode(t, "after", err, core.CodeNotFound)
	for _, row := range w.audited(t) {
		if strings.Contains(row, chosen) || strings.Contains(row, secret) {
			t.Errorf("a secret is in the audit log: %q", row)
		}
	}
}

func TestRobotDurations(t *testing.T) {
	w := newTown(t)
	w.configure(t, "robot_token_duration", "3")
	for _, tt := range []struct {
		name string
		days int64
		want core.Code
		kept int64
	}{{"usual", 0, "", 3}, {"ever", -1, "", -1}, {"year", 365, "", 365}, {"past", -2, core.CodeBadRequest, 0}, {"far", 36501, core.CodeBadRequest, 0}} {
		spec := projectRobot(tt.name, in("here", pull))
		spec.Duration = tt.days
		r, _, err := w.CreateRobot(t.Context(), w.ada, spec)
		wantCode(t, tt.name, err, tt.want)
		if err == nil && (r.Duration != tt.kept || (tt.kept > 0 && r.ExpiresAt.Sub(r.CreatedAt) < time.Duration(tt.kept)*23*time.Hour)) {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

func TestRobotRequestsAreChecked(t *testing.T) {
	w := newTown(t)
	list := core.Permission{Resource: core.ResUser, Action: core.ActList}
	for name, spec := range map[string]app.RobotSpec{
		"no level":            {Name: "x", Permissions: []app.RobotPermission{in("here", pull)}},
		"no permission":       systemRobot("x"),
		"no access":           systemRobot("x", in("here")),
		"two projects":        projectRobot("x", in("here", pull), in("there", pull)),
		"kind of a project":   projectRobot("x", onSystem(list)),
		"unknown kind":        systemRobot("x", app.RobotPermission{Kind: "galaxy", Namespace: "/", Access: []core.Permission{pull}}),
		"system elsewhere":    systemRobot("x", app.RobotPermission{Kind: "system", Namespace: "here", Access: []core.Permission{list}}),
		"not for robots":      systemRobot("x", in("here", core.Permission{Resource: core.ResConfiguration, Action: core.ActUpdate})),
		"not for a project":   systemRobot("x", in("here", list)),
		"not for the system":  systemRobot("x", onSystem(pull)),
		"made up":             systemRobot("x", in("here", core.Permission{Resource: "everything", Action: "*"})),
		"absent project":      systemRobot("x", in("nope", pull)),
		"plus in the name":    projectRobot("a+b", in("here", pull)),
		"upper case":          projectRobot("CI", in("here", pull)),
		"no name":             projectRobot("", in("here", pull)),
		"control characters":  {Name: "x", Level: "project", Duration: 1, Description: "a\nb", Permissions: []app.RobotPermission{in("here", pull)}},
		"project named by id": {Name: "x", Level: "system", Duration: 1, Permissions: []app.RobotPermission{in("1", pull)}},
	} {
		_, _, err := w.CreateRobot(t.Context(), w.admin, spec)
		wantCode(t, name, err, core.CodeBadRequest)
	}
	w.makeRobot(t, w.ada, projectRobot("ci", in("here", pull)))
	_, _, err := w.CreateRobot(t.Context(), w.ada, projectRobot("ci", in("here", pull)))
	wantCode(t, "the same name", err, core.CodeConflict)
	w.makeRobot(t, w.eve, projectRobot("ci", in("there", pull)))
}

// CVE-2019-16919: the permissions asked for must be within the maker's rights.
func TestRobotsGetNoMoreThanTheirMaker(t *testing.T) {
	w := newTown(t)
	maker, _ := w.makeRobot(t, w.admin, projectRobot("maker", in("here", manage, change, read, pull)))
	wide, _ := w.makeRobot(t, w.admin, systemRobot("wide", app.RobotPermission{Kind: "project", Namespace: "*", Access: []core.Permission{manage, pull}}, onSystem(manage)))
	quota := core.Permission{Resource: core.ResQuota, Action: core.ActRead}
	split, _ := w.makeRobot(t, w.admin, systemRobot("split", onSystem(manage), in("*", quota), in("here", pull)))
	const harbors = "permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions: "
	for _, tt := range []struct {
		name   string
		caller core.Caller
		spec   app.RobotSpec
		want   core.Code
		text   string
	}{
		{"admin of the project", w.ada, projectRobot("a", in("here", pull, push, core.Permission{Resource: core.ResMetadata, Action: core.ActList})), "", ""},
		{"in another project", w.ada, projectRobot("b", in("there", pull)), core.CodeForbidden, ""},
		{"in all projects", w.ada, projectRobot("b", in("*", pull)), core.CodeForbidden, ""},
		{"on the system", w.ada, systemRobot("b", in("here", pull)), core.CodeForbidden, ""},
		{"maintainer", w.dan, projectRobot("b", in("here", pull)), core.CodeForbidden, ""},
		{"anonymous", anonymous, projectRobot("b", in("here", pull)), core.CodeUnauthorized, ""},
		{"robot within", maker, projectRobot("c", in("here", pull)), "", ""},
		{"robot beyond", maker, projectRobot("d", in("here", pull, push)), core.CodeDenied, harbors + "robot$here+maker"},
		{"robot elsewhere", maker, projectRobot("d", in("there", pull)), core.CodeForbidden, ""},
		{"robot on the system", maker, systemRobot("d", in("here", pull)), core.CodeForbidden, ""},
		{"wide within a project", wide, projectRobot("e", in("there", pull)), "", ""},
		{"wide within all", wide, systemRobot("f", in("*", pull)), "", ""},
		{"wide beyond", wide, systemRobot("g", in("*", push)), core.CodeDenied, harbors + "robot$wide"},
		{"wide beyond in one", wide, systemRobot("g", in("here", push)), core.CodeDenied, harbors + "robot$wide"},
		{"wide in an absent one", wide, systemRobot("g", in("nope", pull)), core.CodeDenied, harbors + "robot$wide"},
		{"one project is not another", split, systemRobot("h", in("there", pull)), core.CodeDenied, harbors + "robot$split"},
		{"one project is not all", split, systemRobot("h", in("*", pull)), core.CodeDenied, harbors + "robot$split"},
		{"all projects are not the system", split, systemRobot("h", onSystem(quota)), core.CodeDenied, harbors + "robot$split"},
		{"the system is not a project", split, systemRobot("h", in("here", manage)), core.CodeDenied, harbors + "robot$split"},
		{"split within", split, systemRobot("h", in("here", pull), in("there", quota)), "", ""},
		{"wide beyond on the system", wide, systemRobot("g", onSystem(core.Permission{Resource: core.ResUser, Action: core.ActCreate})), core.CodeDenied, harbors + "robot$wide"},
	} {
		_, _, err := w.CreateRobot(t.Context(), tt.caller, tt.spec)
		wantCode(t, tt.name, err, tt.want)
		if tt.text != "" && core.ErrorMessage(err) != tt.text {
			t.Errorf("%s: %q, want %q", tt.name, core.ErrorMessage(err), tt.text)
		}
	}
	if rows := w.audited(t); !slices.ContainsFunc(rows, func(row string) bool {
		return strings.HasPrefix(row, "robot$here+maker update robot push of repository in project here failed")
	}) {
		t.Errorf("the attempt is not audited: %q", rows)
	}
}

// A change, too, must not lead further: neither by new permissions nor by
// taking over a robot account that has more.
func TestRobotsAreNoWayUp(t *testing.T) {
	w := newTown(t)
	maker, _ := w.makeRobot(t, w.admin, projectRobot("maker", in("here", change, read, pull)))
	strong, _ := w.makeRobot(t, w.ada, projectRobot("strong", in("here", pull, push)))
	weak, _ := w.makeRobot(t, w.ada, projectRobot("weak", in("here", pull)))

	update := func(what string, c core.Caller, target core.Caller, spec app.RobotSpec, want core.Code) {
		t.Helper()
		wantCode(t, what, w.UpdateRobot(t.Context(), c, target.ID, spec), want)
	}
	update("raise another", maker, weak, projectRobot("weak", in("here", pull, push)), core.CodeDenied)
	update("raise oneself", maker, maker, projectRobot("maker", in("here", change, read, push)), core.CodeDenied)
	update("cut a stronger one", maker, strong, projectRobot("strong", in("here", pull)), core.CodeDenied)
	update("to another project", w.ada, weak, projectRobot("weak", in("there", pull)), core.CodeBadRequest)
	update("to all projects", w.ada, weak, projectRobot("weak", in("*", pull)), core.CodeBadRequest)
	update("to the system", w.ada, weak, systemRobot("weak", in("here", pull)), core.CodeBadRequest)
	update("another name", w.ada, weak, projectRobot("other", in("here", pull)), core.CodeBadRequest)
	update("by a maintainer", w.dan, weak, projectRobot("weak", in("here", pull)), core.CodeForbidden)
	update("within", maker, weak, projectRobot("weak", in("here", pull)), "")
	_, err := w.RenewRobotSecret(t.Context(), maker, strong.ID, "")
	wantCode(t, "take over a stronger one", err, core.CodeDenied)
	_, err = w.RenewRobotSecret(t.Context(), maker, weak.ID, "")
	wantCode(t, "renew a weaker one", err, "")
}

// CVE-2022-31667: a robot account of another project is out of reach by its id,
// and looks as one that does not exist.
func TestRobotsOfOtherProjectsAreAbsent(t *testing.T) {
	w := newTown(t)
	foreign, _ := w.makeRobot(t, w.eve, projectRobot("ci", in("there", pull)))
	system, _ := w.makeRobot(t, w.admin, systemRobot("ci", in("here", pull)))
	inside, _ := w.makeRobot(t, w.ada, projectRobot("all", in("here", pull, read, change)))
	operations := map[string]func(core.Caller, int64) error{
		"read":   func(c core.Caller, id int64) error { _, err := w.Robot(t.Context(), c, id); return err },
		"delete": func(c core.Caller, id int64) error { return w.DeleteRobot(t.Context(), c, id) },
		"secret": func(c core.Caller, id int64) error { _, err := w.RenewRobotSecret(t.Context(), c, id, ""); return err },
		"update": func(c core.Caller, id int64) error {
			return w.UpdateRobot(t.Context(), c, id, projectRobot("ci", in("here", pull)))
		},
	}
	for name, op := range operations {
		for _, c := range []core.Caller{w.ada, w.zoe, inside, anonymous} {
			want := core.CodeNotFound
			if c.Kind == core.KindAnonymous {
				want = core.CodeUnauthorized
			}
			absent := op(c, 999)
			wantCode(t, name+" absent", absent, want)
			for _, id := range []int64{foreign.ID, system.ID} {
				err := op(c, id)
				wantCode(t, name+" foreign", err, want)
				got := regexp.MustCompile(`robot [0-9]+`).ReplaceAllString(core.ErrorMessage(err), "robot 999")
				if got != core.ErrorMessage(absent) {
					t.Errorf("%s tells hidden from absent: %q and %q", name, got, core.ErrorMessage(absent))
				}
			}
		}
	}
	wantCode(t, "a maintainer may read only", w.DeleteRobot(t.Context(), w.dan, inside.ID), core.CodeForbidden)
	for _, c := range []core.Caller{foreign, system} {
		if _, err := w.Robot(t.Context(), w.admin, c.ID); err != nil {
			t.Errorf("robot %d = %v", c.ID, err)
		}
	}
}

func TestRobotLists(t *testing.T) {
	w := newTown(t)
	w.makeRobot(t, w.eve, projectRobot("ci", in("there", pull)))
	w.makeRobot(t, w.ada, projectRobot("ci", in("here", pull)))
	w.makeRobot(t, w.admin, systemRobot("ci", in("here", pull)))
	list := func(c core.Caller, project int64, want core.Code, names ...string) {
		t.Helper()
		robots, total, err := w.Robots(t.Context(), c, project, listAll)
		wantCode(t, "list", err, want)
		var got []string
		for _, r := range robots {
			got = append(got, r.Name)
		}
		if total != int64(len(names)) || !slices.Equal(got, names) {
			t.Errorf("%v lists %v of %d, want %v", c.Subject, got, project, names)
		}
	}
	list(w.admin, 0, "", "robot$ci")
	list(w.admin, w.here.ID, "", "robot$here+ci")
	list(w.dan, w.here.ID, "", "robot$here+ci")
	list(w.ada, w.there.ID, core.CodeForbidden)
	list(w.ada, 0, core.CodeForbidden)
	list(anonymous, 0, core.CodeUnauthorized)
}

// The rights of a robot account are changed place by place, and never beyond
// those of who changes them.
func TestRobotAccess(t *testing.T) {
	w := newTown(t)
	made, _ := w.makeRobot(t, w.admin, systemRobot("deploy", in("*", pull), in("here", push)))
	set := func(c core.Caller, id int64, p app.RobotPermission, want core.Code) {
		t.Helper()
		wantCode(t, "SetRobotAccess", w.SetRobotAccess(t.Context(), c, id, p), want)
	}
	set(w.admin, made.ID, in("here", pull, push), "")
	set(w.admin, made.ID, in("nowhere", pull), core.CodeBadRequest)
	set(w.admin, made.ID, in("*"), "")
	r, err := w.Robot(t.Context(), w.admin, made.ID)
	if err != nil || len(r.Grants) != 2 || r.Grants[0].AllProjects || r.Grants[0].ProjectName != "here" {
		t.Errorf("the robot account may %+v, %v", r.Grants, err)
	}
	set(w.admin, made.ID, in("here"), core.CodeBadRequest) // it would have no rights at all
	set(w.ada, made.ID, in("here", pull), core.CodeNotFound)

	small, _ := w.makeRobot(t, w.admin, systemRobot("small", onSystem(read, change, manage)))
	set(small, small.ID, onSystem(core.Permission{Resource: core.ResUser, Action: core.ActCreate}), core.CodeDenied)
	set(small, made.ID, in("here", pull), core.CodeDenied) // it would reach the rights of the other
}
