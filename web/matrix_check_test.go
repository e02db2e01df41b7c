package web_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// expected is the status that the matrix demands. 0 is any that shows that the
// request was allowed.
func (c cell) expected() (status int, allowed bool) {
	e, p := c.entry, c.person
	if p.dead && !e.free {
		return http.StatusUnauthorized, false
	}
	allowed = e.rule.allows(p, c.place)
	switch {
	case allowed && e.narrow && len(p.grants) > 0 && !c.gap():
		return http.StatusForbidden, false
	case !allowed && p.anonymous():
		return http.StatusUnauthorized, false
	case !allowed && e.hides != "" && !c.reads():
		return http.StatusNotFound, false
	case !allowed:
		return http.StatusForbidden, false
	case c.nested && e.gap != 0:
		return e.gap, true
	case c.gap():
		return http.StatusNotFound, true
	case e.want != 0:
		return e.want, true
	}
	return http.StatusOK, true
}

// gap says whether the route is about an object that does not exist where the
// request looks for it.
func (c cell) gap() bool {
	return c.nested || strings.HasPrefix(c.place.label, "absent") && !c.entry.rule.filters()
}

// reads says whether the caller may at least read what it is refused to change.
func (c cell) reads() bool {
	read := core.Permission{Resource: c.entry.hides, Action: core.ActRead}
	if c.entry.rule.scope == onSystem {
		return c.person.onSystem(read)
	}
	return c.person.may(c.place, read)
}

// cell sends one request and checks its answer and what it did.
func (m *matrix) cell(t *testing.T, c cell) *httptest.ResponseRecorder {
	t.Helper()
	rec, uploads := m.request(t, c)
	status, allowed := c.expected()
	if !acceptable(c, rec.Code, status, allowed) {
		t.Errorf("%s as %s on %s = %d, want %d\n%s", c.key, c.person.name, c.place.label, rec.Code, status, rec.Body)
	}
	m.leaks(t, c, rec)
	if c.entry.check != nil && rec.Code < 300 {
		if err := c.entry.check(m.world, c.person, c.place, rec.Body.Bytes()); err != nil {
			t.Errorf("%s as %s on %s: %v", c.key, c.person.name, c.place.label, err)
		}
	}
	changed := m.changed(t)
	if !allowed {
		if c.entry.rule.permission.Resource != "" && !c.person.dead && (c.entry.hides == "" || !c.gap()) {
			m.refuse(c)
		}
		if changed != nil || m.uploads(t) != uploads {
			t.Errorf("%s as %s on %s was refused and changed %v", c.key, c.person.name, c.place.label, changed)
		}
	}
	if changed != nil {
		m.restore(t)
	}
	return rec
}

// acceptable compares the status. A foreign or public project that the caller
// may change has not always what the request needs: not refused is enough.
func acceptable(c cell, got, want int, allowed bool) bool {
	elsewhere := strings.HasPrefix(c.place.label, "zebra") || strings.HasPrefix(c.place.label, "open")
	if allowed && elsewhere && (got == http.StatusPreconditionFailed || got == c.entry.beside) {
		return true
	}
	return got == want
}

// request sends the request of a cell. It returns how many uploads there were
// before it.
func (m *matrix) request(t *testing.T, c cell) (*httptest.ResponseRecorder, int) {
	t.Helper()
	_, path := split(c.key)
	if strings.Contains(path, ":upload") && !c.nested && c.place.id != 0 {
		c.place = c.place.but(map[string]string{"upload": m.newUpload(t, c.place.values["repository"])})
	}
	uploads := m.world.uploads(t)
	return m.requestAt(t, c, c.place.fill(path)), uploads
}

// requestAt is request at another path than the route's.
func (m *matrix) requestAt(t *testing.T, c cell, url string) *httptest.ResponseRecorder {
	t.Helper()
	m.requests++
	method, _ := split(c.key)
	at := c.place
	if c.entry.query != "" {
		url += "?" + at.fill(c.entry.query)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(at.fill(c.entry.body)))
	r.Header.Set("User-Agent", c.name())
	r.Header.Set("Content-Type", "application/json")
	if c.entry.form != "" {
		r.Header.Set("Content-Type", c.entry.form)
	}
	if c.person.header != "" {
		r.Header.Set("Authorization", c.person.header)
	}
	rec := httptest.NewRecorder()
	m.handler.ServeHTTP(rec, r)
	return rec
}

// leaks looks for what the caller must not see, in every answer.
func (m *matrix) leaks(t *testing.T, c cell, rec *httptest.ResponseRecorder) {
	t.Helper()
	text := strings.ReplaceAll(rec.Body.String(), c.person.name+mail, "")
	for _, secret := range []string{"$argon2id", "password_hash", "secret_hash"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %s to %s", c.key, secret, c.person.name)
		}
	}
	users := c.entry.rule.permission.Resource == core.ResUser && c.entry.rule.allows(c.person, c.place)
	if strings.Contains(text, mail) && !users && !c.person.sysadmin {
		t.Errorf("%s shows e-mail addresses to %s: %s", c.key, c.person.name, text)
	}
	asked := strings.HasPrefix(c.place.label, theirs) || c.nested
	names := strings.Contains(text, m.own.values["repository"]) && !c.person.may(m.own, core.Permission{Resource: core.ResRepository, Action: core.ActList})
	if names && c.entry.rule.filters() && !c.person.may(m.own, core.Permission{Resource: core.ResRepository, Action: core.ActPull}) {
		t.Errorf("%s shows repositories to %s, who may not list them: %s", c.key, c.person.name, text)
	}
	log := c.entry.rule.scope == signedIn && c.person.onSystem(core.Permission{Resource: core.ResAuditLog, Action: core.ActList})
	system := c.entry.rule.scope == onSystem && c.entry.rule.allows(c.person, c.place)
	if strings.Contains(text, theirs) && !asked && !c.person.sees(m.foreign) && !log && !system {
		t.Errorf("%s shows the foreign project to %s: %s", c.key, c.person.name, text)
	}
}

func (m *matrix) refuse(c cell) {
	if m.refused == nil {
		m.refused = map[string]*person{}
	}
	m.refused[c.name()] = c.person
}

// audited demands a row for everyone who was refused a right.
func (m *matrix) audited(t *testing.T) {
	m.app.Close()
	missing := maps.Clone(m.refused)
	err := m.store.View(t.Context(), func(tx *store.Tx) error {
		for last := int64(0); ; {
			rows, err := tx.AuditAfter(last, 1000)
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, row := range rows {
				if p := missing[row.Origin.Client]; p != nil && !row.Success && row.Actor == p.id.String() {
					delete(missing, row.Origin.Client)
				}
			}
			last = rows[len(rows)-1].ID
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range missing {
		t.Errorf("%s was refused and is not in the audit log", name)
	}
	if _, err := m.app.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// closed switches anonymous access off: a public project is then as good as
// absent to those who have not signed in.
func (m *matrix) closed(t *testing.T) {
	if err := m.app.Configure(t.Context(), system, map[string]string{"anonymous_access": "false"}); err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		e := table[key]
		if e.free || !mentionsProject(key+e.query+e.body) || strings.Contains(key, "#") || e.check != nil {
			continue
		}
		answers := map[string]string{}
		for _, at := range []place{m.open, m.absent} {
			rec, _ := m.request(t, cell{person: m.people[0], place: m.prepared(at, e), key: key, entry: e})
			answers[answer(rec, m.prepared(at, e))] = at.label
			if rec.Code < 300 && e.rule.scope != anyone {
				t.Errorf("%s on a public project = %d", key, rec.Code)
			}
		}
		if len(answers) > 1 {
			t.Errorf("%s tells a public project from an absent one:\n%s", key, describeAnswers(answers))
		}
	}
}

// checkGranted compares what a token was issued for with the matrix.
func checkGranted(_ *world, p *person, at place, body []byte) error {
	var answer struct{ Token string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	parts := strings.Split(answer.Token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("not a token: %s", body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct {
		Subject string       `json:"sub"`
		Access  []core.Scope `json:"access"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	want := []string{}
	for _, action := range []struct {
		name string
		core.Permission
	}{{"pull", core.Permission{Resource: core.ResRepository, Action: core.ActPull}}, {"push", core.Permission{Resource: core.ResRepository, Action: core.ActPush}},
		{"delete", core.Permission{Resource: core.ResArtifact, Action: core.ActDelete}}} {
		if at.id != 0 && p.may(at, action.Permission) {
			want = append(want, action.name)
		}
	}
	if len(claims.Access) != 1 || !slices.Equal(claims.Access[0].Actions, want) || claims.Subject != p.id.String() {
		return fmt.Errorf("the token of %s grants %v, want %v of %s", claims.Subject, claims.Access, want, at.values["repository"])
	}
	return nil
}
