package app_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const adminPassword = "Correct-Horse-1"

// noJournal is for tests that push no images.
type noJournal struct{}

func (noJournal) Append(entries []core.JournalEntry) (from, to uint64, err error) {
	return 1, uint64(len(entries)), nil
}

func (noJournal) Abort(uint64, uint64) error { return nil }

// accounts is the use cases over a store that the test can look into.
type accounts struct {
	*app.App
	store *store.Store
	path  string
}

func newAccounts(t *testing.T) *accounts {
	t.Helper()
	a := &accounts{path: filepath.Join(t.TempDir(), "test.db")}
	a.open(t)
	t.Cleanup(func() { a.close(t) })
	return a
}

func (a *accounts) open(t *testing.T) {
	t.Helper()
	var err error
	if a.store, err = store.Open(t.Context(), a.path, noJournal{}); err != nil {
		t.Fatal(err)
	}
	if a.App, err = app.New(t.Context(), a.store, emptyManifests{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func (a *accounts) close(t *testing.T) {
	t.Helper()
	a.App.Close()
	if err := a.store.Close(); err != nil {
		t.Error(err)
	}
}

func (a *accounts) bootstrap(t *testing.T) {
	t.Helper()
	if created, err := a.Bootstrap(t.Context(), adminPassword); err != nil || !created {
		t.Fatalf("Bootstrap = %v, %v", created, err)
	}
}

func (a *accounts) update(t *testing.T, fn func(*store.Tx) error) {
	t.Helper()
	if err := a.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// audited returns "operation resource success" of the audit rows so far.
func (a *accounts) audited(t *testing.T) (rows []string) {
	t.Helper()
	a.App.Close() // writes what waits
	err := a.store.View(t.Context(), func(tx *store.Tx) error {
		events, err := tx.AuditAfter(0, 1000)
		for _, e := range events {
			result := "ok"
			if !e.Success {
				result = "failed"
			}
			rows = append(rows, strings.Join([]string{e.Username, e.Operation, e.ResourceType, e.Resource, result, e.Description}, " "))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

var here = core.Origin{Address: "192.0.2.1", Client: "test"}

func wantCode(t *testing.T, what string, err error, want core.Code) {
	t.Helper()
	if core.ErrorCode(err) != want {
		t.Errorf("%s: %v (%s), want %s", what, err, core.ErrorCode(err), want)
	}
}

func TestBootstrapOnce(t *testing.T) {
	a := newAccounts(t)
	_, err := a.Bootstrap(t.Context(), "weak")
	wantCode(t, "a weak password", err, core.CodeBadRequest)
	a.bootstrap(t)
	if created, err := a.Bootstrap(t.Context(), "Other-Horse-1"); created || err != nil {
		t.Errorf("a second Bootstrap = %v, %v", created, err)
	}
	who, err := a.Authenticate(t.Context(), "admin", adminPassword, here)
	if want := (core.Subject{Kind: core.KindUser, ID: 1}); who != want || err != nil {
		t.Errorf("admin is %v, %v", who, err)
	}
	u, err := a.CurrentUser(t.Context(), core.Caller{Subject: who})
	if err != nil || !u.SysAdmin {
		t.Errorf("admin is not a system admin: %+v, %v", u, err)
	}
}

func TestResetPassword(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	token, err := a.SignIn(t.Context(), "admin", adminPassword, here)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "nobody", a.ResetPassword(t.Context(), "nobody", "Other-Horse-1"), core.CodeNotFound)
	wantCode(t, "a weak password", a.ResetPassword(t.Context(), "admin", "weak"), core.CodeBadRequest)
	if err := a.ResetPassword(t.Context(), "Admin", "Other-Horse-1"); err != nil {
		t.Fatal(err)
	}
	_, err = a.Authenticate(t.Context(), "admin", adminPassword, here)
	wantCode(t, "the old password", err, core.CodeUnauthorized)
	if _, err := a.Authenticate(t.Context(), "admin", "Other-Horse-1", here); err != nil {
		t.Errorf("the new password: %v", err)
	}
	_, err = a.Resume(t.Context(), token)
	wantCode(t, "a session from before", err, core.CodeUnauthorized)
}

func TestLoginsAreAudited(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	for range 3 { // one verified, two remembered
		if _, err := a.Authenticate(t.Context(), "admin", adminPassword, here); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.Authenticate(t.Context(), "admin", "canary-Secret-1", here)
	_, _ = a.Authenticate(t.Context(), "nobody", "canary-Secret-1", here)
	_, _ = a.Authenticate(t.Context(), strings.Repeat("x", 2000), "canary-Secret-1", here)
	want := []string{
		"system create user admin ok as system administrator",
		"admin login user admin ok ",
		"admin login user admin failed wrong username or password",
		"nobody login user nobody failed wrong username or password",
	}
	got := a.audited(t)
	if len(got) != 5 || !slices.Equal(got[:4], want) || len(got[4]) > 700 {
		t.Errorf("audit log:\n%s", strings.Join(got, "\n"))
	}
	if strings.Contains(strings.Join(got, ""), "canary") {
		t.Error("the audit log holds a secret")
	}
}

// Which account exists must not show in the error.
func TestFailedLoginsAreAllAlike(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	addRobot(t, a, core.Robot{Name: "robot$here", Duration: -1})
	var first string
	for _, name := range []string{"admin", "nobody", "robot$here", "robot$nobody", "", "robot$", "a\x00b", "\xff"} {
		_, err := a.Authenticate(t.Context(), name, "Wrong-Horse-1", core.Origin{Address: "192.0.2.9"})
		wantCode(t, name, err, core.CodeUnauthorized)
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Errorf("%q: %q, want %q", name, err, first)
		}
	}
}

const robotSecret = "bwr_0123456789"

func addRobot(t *testing.T, a *accounts, r core.Robot) (id int64) {
	t.Helper()
	r.SecretHash = auth.HashSecret(robotSecret)
	a.update(t, func(tx *store.Tx) (err error) {
		id, err = tx.CreateRobot(r)
		return err
	})
	return id
}

func TestRobotsLogIn(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	good := addRobot(t, a, core.Robot{Name: "robot$good", Duration: -1})
	addRobot(t, a, core.Robot{Name: "robot$off", Duration: -1, Disabled: true})
	addRobot(t, a, core.Robot{Name: "robot$old", Duration: 1, ExpiresAt: time.Now().Add(-time.Second)})
	who, err := a.Authenticate(t.Context(), "robot$good", robotSecret, here)
	if want := (core.Subject{Kind: core.KindRobot, ID: good}); err != nil || who != want {
		t.Errorf("robot$good is %v, %v", who, err)
	}
	for name, word := range map[string]string{"robot$off": "disabled", "robot$old": "expired"} {
		_, err := a.Authenticate(t.Context(), name, robotSecret, here)
		wantCode(t, name, err, core.CodeUnauthorized)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, want a word of why", name, err)
		}
	}
	_, err = a.SignIn(t.Context(), "robot$good", robotSecret, here)
	wantCode(t, "a robot at the sign-in page", err, core.CodeUnauthorized)
}

// A robot that manages users must not become more than that.
func TestUserManagerCannotTakeOverAnAdmin(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	grants := []core.RobotGrant{}
	for _, action := range []core.Action{core.ActCreate, core.ActRead, core.ActUpdate, core.ActDelete, core.ActList} {
		grants = append(grants, core.RobotGrant{Permission: core.Permission{Resource: core.ResUser, Action: action}})
	}
	robot := core.Caller{Subject: core.Subject{Kind: core.KindRobot, ID: addRobot(t, a, core.Robot{Name: "robot$users", Duration: -1, Grants: grants})}}
	ctx := t.Context()
	id, err := a.CreateUser(ctx, robot, app.NewUser{Username: "amy", Password: adminPassword})
	if err != nil {
		t.Fatalf("an ordinary user: %v", err)
	}
	_, err = a.CreateUser(ctx, robot, app.NewUser{Username: "eve", Password: adminPassword, SysAdmin: true})
	wantCode(t, "create an admin", err, core.CodeForbidden)
	wantCode(t, "promote", a.SetSysAdmin(ctx, robot, id, true), core.CodeForbidden)
	wantCode(t, "password of an admin", a.ChangePassword(ctx, robot, 1, "", "Other-Horse-1"), core.CodeForbidden)
	wantCode(t, "secret of an admin", a.SetCLISecret(ctx, robot, 1, "Docker-Secret-0123456789"), core.CodeForbidden)
	wantCode(t, "profile of an admin", a.UpdateProfile(ctx, robot, 1, "e@example.com", "", ""), core.CodeForbidden)
	if err := a.DeleteUser(ctx, robot, id); err != nil {
		t.Errorf("delete an ordinary user: %v", err)
	}
}

func TestManageAuditsWhatItRan(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	admin := core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: 1}, Origin: here}
	ran := 0
	run := func(failure error) func(context.Context) error {
		return func(context.Context) error { ran++; return failure }
	}
	wantCode(t, "anonymous", a.Manage(t.Context(), core.Caller{Subject: core.Anonymous}, core.ResCertificate, "renew", run(nil)), core.CodeUnauthorized)
	if ran != 0 {
		t.Fatal("it ran before it was authorised")
	}
	if err := a.Manage(t.Context(), admin, core.ResCertificate, "renew", run(nil)); err != nil {
		t.Error(err)
	}
	wantCode(t, "a failure", a.Manage(t.Context(), admin, core.ResCertificate, "renew", run(errors.New("canary"))), core.CodeInternal)
	got := a.audited(t)
	want := []string{"admin update certificate the registry ok renew", "admin update certificate the registry failed renew: internal server error"}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("no %q in\n%s", row, strings.Join(got, "\n"))
		}
	}
}

func TestSettingsOutliveARestart(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	admin := core.Caller{Subject: core.Subject{Kind: core.KindUser, ID: 1}, Origin: here}
	if err := a.Configure(t.Context(), admin, map[string]string{"anonymous_access": "false", "banner_message": "hello"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Configure(t.Context(), admin, map[string]string{"banner_message": "hello"}); err != nil { // no change, no row
		t.Fatal(err)
	}
	rows := a.audited(t)
	want := []string{`admin update configuration anonymous_access ok "true" -> "false"`, `admin update configuration banner_message ok "" -> "hello"`}
	if len(rows) != 3 || !slices.Equal(rows[1:], want) {
		t.Errorf("audit log:\n%s", strings.Join(rows, "\n"))
	}
	a.close(t)
	a.open(t)
	if s := a.Settings(); s.AnonymousAccess || s.Banner != "hello" {
		t.Errorf("after a restart: %+v", s)
	}
}

// A damaged setting must not open what an administrator had closed.
func TestDamagedSettingStopsTheStart(t *testing.T) {
	a := newAccounts(t)
	a.update(t, func(tx *store.Tx) error { return tx.SetSetting("anonymous_access", "nope") })
	if _, err := app.New(t.Context(), a.store, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "anonymous_access") {
		t.Errorf("New = %v, want an error that names the setting", err)
	}
}

// synctest gives these tests a clock that moves at once.
func TestSessionsEndByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccounts(t)
		a.bootstrap(t)
		signIn := func() string {
			t.Helper()
			token, err := a.SignIn(t.Context(), "admin", adminPassword, here)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		alive := func(token string) bool {
			t.Helper()
			_, err := a.Resume(t.Context(), token)
			if err != nil && core.ErrorCode(err) != core.CodeUnauthorized {
				t.Fatal(err)
			}
			return err == nil
		}
		used, idle := signIn(), signIn()
		for range 3 {
			time.Sleep(50 * time.Minute)
			if !alive(used) {
				t.Fatal("a session that is used ended")
			}
		}
		if alive(idle) {
			t.Error("a session idle for more than an hour is alive")
		}
		for range 26 {
			time.Sleep(50 * time.Minute)
			if !alive(used) {
				break
			}
		}
		if alive(used) {
			t.Error("a session is alive after 24 hours")
		}
	})
}

func TestRememberedLoginsEndWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccounts(t)
		a.bootstrap(t)
		login := func() {
			t.Helper()
			if _, err := a.Authenticate(t.Context(), "admin", adminPassword, here); err != nil {
				t.Fatal(err)
			}
		}
		login()
		time.Sleep(59 * time.Second)
		login()
		time.Sleep(2 * time.Second)
		login()
		logins := 0
		for _, row := range a.audited(t) {
			if strings.HasPrefix(row, "admin login") {
				logins++
			}
		}
		if logins != 2 {
			t.Errorf("the password was checked %d times, want twice", logins)
		}
	})
}
