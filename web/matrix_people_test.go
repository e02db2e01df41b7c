package web_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// person is one who makes requests, with what the matrix says of it.
type person struct {
	name      string
	id        core.Subject
	header    string // of authorization; empty: anonymous
	sysadmin  bool
	dead      bool // its credentials are no longer good for anything
	tokenOnly bool // its password would be a failed login, of which there may not be many
	roles     map[int64]core.Role
	grants    []core.RobotGrant
}

func (p *person) caller() core.Caller { return core.Caller{Subject: p.id} }

func (p *person) anonymous() bool { return p.id.Kind == core.KindAnonymous }

// may says what the matrix says: may p do this in the project at at?
func (p *person) may(at place, want core.Permission) bool {
	if at.id == 0 {
		return p.sysadmin
	}
	return p.sysadmin || p.roles[at.id].Allows(want.Resource, want.Action) ||
		at.public && core.RolePublic.Allows(want.Resource, want.Action) ||
		slices.ContainsFunc(p.grants, func(g core.RobotGrant) bool {
			return g.Permission == want && (g.AllProjects || g.ProjectID == at.id)
		})
}

// sees says whether p has any right at all in the project.
func (p *person) sees(at place) bool {
	return p.sysadmin || at.public || p.roles[at.id] != 0 || slices.ContainsFunc(p.grants, func(g core.RobotGrant) bool {
		return g.AllProjects || g.ProjectID == at.id
	})
}

func (p *person) onSystem(want core.Permission) bool {
	return p.sysadmin || slices.Contains(p.grants, core.RobotGrant{Permission: want})
}

var system = core.Caller{Subject: core.System}

// addUser makes an account with a CLI secret: its check costs nothing. Only
// accounts whose requests are to be told apart by a password get a real one.
func (w *world) addUser(t *testing.T, name string, secret bool) *person {
	t.Helper()
	id, err := w.app.CreateUser(t.Context(), system, app.NewUser{Username: name, Email: name + mail, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{name: name, id: core.Subject{Kind: core.KindUser, ID: id}, roles: map[int64]core.Role{}}
	if secret {
		p.header = w.setSecret(t, p)
	}
	return p
}

func (w *world) setSecret(t *testing.T, p *person) string {
	t.Helper()
	secret := auth.NewSecret("Aa1")
	if err := w.app.SetCLISecret(t.Context(), p.caller(), p.id.ID, secret); err != nil {
		t.Fatal(err)
	}
	return basic(p.name, secret)
}

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// roleNames are the members of the matrix by the names of their accounts.
var roleNames = map[string]core.Role{
	"limited": core.RoleLimitedGuest, "guest": core.RoleGuest, "developer": core.RoleDeveloper,
	"maintainer": core.RoleMaintainer, "padmin": core.RoleProjectAdmin,
}

func (w *world) addPeople(t *testing.T) {
	t.Helper()
	w.people = []*person{{name: "anonymous", id: core.Anonymous}}
	for _, name := range []string{"stranger", "limited", "guest", "developer", "maintainer", "padmin"} {
		w.people = append(w.people, w.addUser(t, name, true))
	}
	w.sysadmin = &person{name: "admin", id: core.Subject{Kind: core.KindUser, ID: 1}, sysadmin: true, roles: map[int64]core.Role{}}
	w.sysadmin.header = w.setSecret(t, w.sysadmin)
	w.people = append(w.people, w.sysadmin)
}

// enrol gives the people their roles, and makes the robot accounts that every
// route is tried with.
func (w *world) enrol(t *testing.T) {
	t.Helper()
	for _, p := range w.people {
		role, ok := roleNames[p.name]
		if !ok {
			continue
		}
		for _, at := range []place{w.own, w.bare} {
			p.roles[at.id] = role
			if _, _, err := w.app.AddMember(t.Context(), system, core.ProjectRef{ID: at.id}, core.User{ID: p.id.ID}, role); err != nil {
				t.Fatal(err)
			}
		}
	}
	pull := app.RobotPermission{Kind: "project", Namespace: w.own.values["project"],
		Access: []core.Permission{{Resource: core.ResRepository, Action: core.ActPull}}}
	members := pull
	members.Access = []core.Permission{{Resource: core.ResMember, Action: core.ActList}}
	alive, _ := w.addRobot(t, w.own, "puller", pull)
	narrow, _ := w.addRobot(t, w.own, "member-lister", members)
	disabled, _ := w.addRobot(t, w.own, "disabled", pull)
	expired, _ := w.addRobot(t, w.own, "expired", pull)
	gone, _ := w.addRobot(t, w.own, "gone", pull)
	w.exec(t, `UPDATE robot SET disabled = true WHERE id = ?`, disabled.id.ID)
	w.exec(t, `UPDATE robot SET expires_at = ? WHERE id = ?`, time.Now().Add(-time.Second).UnixMicro(), expired.id.ID)
	if err := w.app.DeleteRobot(t.Context(), system, gone.id.ID); err != nil {
		t.Fatal(err)
	}
	disabled.dead, expired.dead, gone.dead, gone.tokenOnly = true, true, true, true
	w.people = append(w.people, alive, narrow, disabled, expired, gone)
}

// addRobot makes a robot account at level project of at, or system where at is
// the zero place.
func (w *world) addRobot(t *testing.T, at place, name string, permissions ...app.RobotPermission) (*person, core.Robot) {
	t.Helper()
	level := app.RobotLevelProject
	if at.id == 0 {
		level = app.RobotLevelSystem
	}
	r, secret, err := w.app.CreateRobot(t.Context(), system, app.RobotSpec{Name: name, Level: level, Duration: -1, Permissions: permissions})
	if err != nil {
		t.Fatal(err)
	}
	grants := slices.Clone(r.Grants)
	for i := range grants {
		grants[i].ProjectName = ""
	}
	return &person{name: "robot " + name, id: core.Subject{Kind: core.KindRobot, ID: r.ID}, header: basic(r.Name, secret), grants: grants}, r
}

// robotsFor makes, for a rule, the robot account that has that one permission
// where the rule asks for it, and the one that has the namesake elsewhere.
func (w *world) robotsFor(t *testing.T, r rule) {
	t.Helper()
	onSystem, inProject := core.GrantablePermissions()
	name := fmt.Sprintf("%s-%s", r.permission.Resource, r.permission.Action)
	access := []core.Permission{r.permission}
	if slices.Contains(inProject, r.permission) {
		w.addOnce(t, "own-"+name, w.own, app.RobotPermission{Kind: "project", Namespace: w.own.values["project"], Access: access})
		w.addOnce(t, "bare-"+name, w.bare, app.RobotPermission{Kind: "project", Namespace: w.bare.values["project"], Access: access})
		w.addOnce(t, "all-"+name, place{}, app.RobotPermission{Kind: "project", Namespace: "*", Access: access})
	}
	if slices.Contains(onSystem, r.permission) {
		w.addOnce(t, "system-"+name, place{}, app.RobotPermission{Kind: "system", Namespace: "/", Access: access})
	}
}

func (w *world) addOnce(t *testing.T, name string, at place, permission app.RobotPermission) {
	t.Helper()
	if w.robots[name] == nil {
		w.robots[name], _ = w.addRobot(t, at, name, permission)
	}
}

// callers are all who try the entry's route.
func (w *world) callers(e entry) []*person {
	if e.free {
		return []*person{w.people[0], w.sysadmin}
	}
	all := slices.Clone(w.people)
	for _, where := range []string{"own", "bare", "all", "system"} {
		if r := w.robots[fmt.Sprintf("%s-%s-%s", where, e.rule.permission.Resource, e.rule.permission.Action)]; r != nil {
			all = append(all, r)
		}
	}
	return all
}

// withToken returns p with a bearer token that was made for everything in the
// repository: what it may do is still decided by its account.
func (w *world) withToken(t *testing.T, p *person, at place) *person {
	t.Helper()
	token, err := w.tokens.Issue(auth.Claims{ID: "1", Subject: p.id.String(), Access: []core.Scope{
		{Type: "repository", Name: at.values["repository"], Actions: []string{"pull", "push", "delete"}},
		{Type: "repository", Name: w.open.values["repository"], Actions: []string{"pull"}},
		{Type: "registry", Name: "catalog", Actions: []string{"*"}},
	}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	copied := *p
	copied.name, copied.header = p.name+" with a token", "Bearer "+token
	return &copied
}
