package app_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// addPerson makes an account with the password of these tests.
func (a *accounts) addPerson(t *testing.T, name string) core.Caller {
	t.Helper()
	id, err := a.CreateUser(t.Context(), core.Caller{Subject: core.System}, app.NewUser{Username: name, Password: adminPassword})
	if err != nil {
		t.Fatal(err)
	}
	return user(id)
}

func TestDisabledAccountAdmitsNobody(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	admin := user(1)
	amy := a.addPerson(t, "amy")
	if err := a.SetSysAdmin(t.Context(), admin, amy.ID, true); err != nil {
		t.Fatal(err)
	}
	secret, err := a.NewCLISecret(t.Context(), amy, amy.ID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.SignIn(t.Context(), "amy", adminPassword, core.Origin{})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "disabling oneself", a.SetDisabled(t.Context(), amy, amy.ID, true), core.CodeForbidden)
	if err := a.SetDisabled(t.Context(), admin, amy.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = a.Resume(t.Context(), token)
	wantCode(t, "the session", err, core.CodeUnauthorized)
	_, err = a.CurrentUser(t.Context(), amy)
	wantCode(t, "a request with an older token", err, core.CodeUnauthorized)
	for _, password := range []string{adminPassword, secret} {
		if _, err := a.Authenticate(t.Context(), "amy", password, core.Origin{}); !errors.Is(err, app.ErrDisabled) {
			t.Errorf("a login = %v", err)
		}
	}
	_, err = a.Authenticate(t.Context(), "amy", "Wrong-Horse-1", core.Origin{})
	if errors.Is(err, app.ErrDisabled) || core.ErrorCode(err) != core.CodeUnauthorized {
		t.Errorf("a wrong password tells that the account is disabled: %v", err)
	}
	wantCode(t, "taking the right from the last usable admin", a.SetSysAdmin(t.Context(), admin, 1, false), core.CodePrecondition)
	if err := a.SetDisabled(t.Context(), admin, amy.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), "amy", secret, core.Origin{}); err != nil {
		t.Errorf("after enabling: %v", err)
	}
	if err := a.SetDisabled(t.Context(), amy, 1, true); err != nil {
		t.Fatal(err)
	}
	if err := a.ResetPassword(t.Context(), "admin", adminPassword+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), "admin", adminPassword+"2", core.Origin{}); err != nil {
		t.Errorf("the command line is not the way back in: %v", err)
	}
}

func TestSessionsOfAnAccount(t *testing.T) {
	a := newAccounts(t)
	a.bootstrap(t)
	amy, bob := a.addPerson(t, "amy"), a.addPerson(t, "bob")
	var names []string
	for range 3 {
		token, err := a.SignIn(t.Context(), "amy", adminPassword, core.Origin{Address: "192.0.2.7", Client: "Firefox"})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, app.SessionID(token))
	}
	list := func() (ids []string) {
		sessions, err := a.Sessions(t.Context(), amy, amy.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sessions {
			if s.Address != "192.0.2.7" || s.Agent != "Firefox" {
				t.Errorf("a session is %+v", s)
			}
			ids = append(ids, s.ID)
		}
		slices.Sort(ids)
		return ids
	}
	if got := list(); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("sessions %v, want %v", got, names)
	}
	_, err := a.Sessions(t.Context(), bob, amy.ID)
	wantCode(t, "the sessions of another", err, core.CodeForbidden)
	wantCode(t, "ending the session of another", a.EndSession(t.Context(), bob, amy.ID, names[0]), core.CodeForbidden)
	wantCode(t, "ending another's session as one's own", a.EndSession(t.Context(), bob, bob.ID, names[0]), core.CodeNotFound)
	if err := a.EndSession(t.Context(), amy, amy.ID, names[0]); err != nil || len(list()) != 2 {
		t.Errorf("after one ended there are %v, %v", list(), err)
	}
	if err := a.EndSessions(t.Context(), amy, amy.ID, names[1]); err != nil || !slices.Equal(list(), names[1:2]) {
		t.Errorf("after the others ended there are %v, %v", list(), err)
	}
}
