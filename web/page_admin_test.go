package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web"
)

func TestConfigurationAtTheBrowser(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/configuration").want(200, "Outgoing connections")
	page = page.submit("Save changes", url.Values{"Idle time of a browser session, in minutes": {"0"}, "Storage of a new project in GiB": {"x"}, "Proxy": {"proxy:3128"}}).
		want(422, "3 fields need a change", "from 1 to 1440")
	if got := attr(page.field("Proxy"), "value"); got != "proxy:3128" {
		t.Errorf("what was typed is %q", got)
	}
	if got := s.app.Settings(); got != core.DefaultSettings() {
		t.Errorf("a refused form changed %+v", got)
	}
	page.submit("Save changes", url.Values{"Idle time of a browser session, in minutes": {"5"}, "Storage of a new project in GiB": {"1.5"}, "Proxy": {"http://proxy.test:3128"},
		"Notice on every page": {"two\r\nlines"}, "Public projects need no sign-in": {}}).want(200, "The configuration was saved", "two lines")
	got := s.app.Settings()
	if got.SessionTimeout.Minutes() != 5 || got.StoragePerProject != 3<<29 || got.OutgoingProxy != "http://proxy.test:3128" || got.Banner != "two\nlines" || got.AnonymousAccess {
		t.Errorf("the settings are %+v", got)
	}
	b.get(t, "/admin/configuration").submit("Save changes", url.Values{"Storage of a new project in GiB": {""}}).want(200, "The configuration was saved")
	if got := s.app.Settings(); got.OutgoingProxy != "http://proxy.test:3128" || got.StoragePerProject != -1 {
		t.Errorf("the settings are %+v", got)
	}
}

// The second of two administrators is told, keeps what was typed, and may then
// decide.
func TestTwoAdministratorsAtOnce(t *testing.T) {
	s := newServer(t)
	one, two := s.browser(t, "admin"), s.browser(t, "admin")
	first, second := one.get(t, "/admin/configuration"), two.get(t, "/admin/configuration")
	first.submit("Save changes", url.Values{"Notice on every page": {"from the first"}}).want(200, "The configuration was saved")
	told := second.submit("Save changes", url.Values{"Notice on every page": {"from the second"}, "Lifetime of a robot account, in days": {"7"}}).
		want(409, "Somebody else changed the configuration meanwhile", "Nothing of yours was saved", "Notice on every page : from the first")
	if got := s.app.Settings(); got.Banner != "from the first" || got.RobotDurationDays != 30 {
		t.Errorf("the settings are %+v", got)
	}
	if got := attr(told.field("Lifetime of a robot account, in days"), "value"); got != "7" {
		t.Errorf("the entry is %q", got)
	}
	told.submit("Save changes", nil).want(200, "The configuration was saved")
	if got := s.app.Settings(); got.Banner != "from the second" || got.RobotDurationDays != 7 {
		t.Errorf("the settings are %+v", got)
	}
}

func TestGarbageCollectionAtTheBrowser(t *testing.T) {
	s := newServer(t)
	b := s.browser(t, "admin")
	b.get(t, "/admin/jobs").want(200, "No jobs")
	page := b.get(t, "/admin/gc").want(200, "It has never run", "It runs only when somebody starts it")
	page.submit("Save schedule", url.Values{"How often": {"Custom"}, "Cron expression": {"* * * * * *"}}).want(422, "Write six fields")
	page.submit("Save schedule", url.Values{"How often": {"Custom"}, "Cron expression": {"0 30 2 * * *"}}).want(200, "The schedule was saved", "Next run:", "02:30:00 UTC")
	b.get(t, "/admin/gc").submit("Save schedule", url.Values{"How often": {"None"}}).want(200, "It runs only when somebody starts it")
	run := b.get(t, "/admin/gc").submit("Dry run", nil).want(200, "Garbage collection", "Waiting", "dry run, nothing was changed", "Stop")
	live := run.all(isListening)
	if len(live) != 1 || attr(live[0], "hx-sse:connect") != run.path+"/events" {
		t.Fatalf("the page listens to nothing: %v", live)
	}
	b.get(t, run.path+"/live").want(200, "Waiting")
	run.submit("Stop", nil).want(200, "The job stops at the next safe moment", "Stopped")
	b.get(t, "/admin/jobs?status=Stopped").want(200, "Garbage collection", "By hand", "1 shown")
	b.get(t, "/admin/jobs?status=Running").want(200, "No jobs")

	w := b.send(t, http.MethodGet, run.path+"/events", "")
	if got := w.Header().Get("Content-Type"); got != "text/event-stream" || !strings.HasPrefix(w.Body.String(), "data: ") || !strings.HasSuffix(w.Body.String(), "event: end\ndata: end\n\n") {
		t.Errorf("the stream is %s %q", got, w.Body)
	}
	b.get(t, "/admin/jobs/999").want(404)
}

// isListening says whether an element listens to a stream of events.
func isListening(n *html.Node) bool { return attr(n, "hx-sse:connect") != "" }

func TestAuditLogAtTheBrowser(t *testing.T) {
	s := newServer(t)
	for i := range 30 {
		s.addUser(t, fmt.Sprintf("user%02d", i))
	}
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/audit?operation=create&type=user").want(200, "user29", "25 shown")
	page = page.click("Next").want(200, "user03", "system")
	if !strings.Contains(page.path, "operation=create") {
		t.Errorf("the next page forgets the filters: %s", page.path)
	}
	page.click("Previous").want(200, "user29")
	b.get(t, "/admin/audit").submit("Apply", url.Values{"User": {"nobody"}}).want(200, "Nothing matches").click("Clear filters").want(200, "user29")
	b.get(t, "/admin/audit?resource=SER07").want(200, "1 shown")
	b.get(t, "/admin/audit?from=2020-01-01&until=2020-12-31").want(200, "Nothing matches")
	b.get(t, "/admin/audit?from=2020-01-01").want(200, "user29")
	b.get(t, "/admin/audit?result=failed").want(200)
	for _, odd := range []string{"?from=x", "?until=99999-01-01", "?operation=evil", "?at=a.9999", "?result=evil"} {
		b.get(t, "/admin/audit"+odd).want(200)
	}
	b.get(t, "/admin/audit?at=a.evil").want(400)
	w := b.send(t, http.MethodGet, "/admin/audit/export?format=csv&operation=create&type=user&resource=user07", "")
	if lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n"); w.Code != 200 || len(lines) != 2 || !strings.Contains(lines[1], "user07") {
		t.Errorf("the export is %d %s", w.Code, w.Body)
	}
	b.get(t, "/admin/audit/export?format=evil").want(400)
}

func TestCertificateAtTheBrowser(t *testing.T) {
	owner := &certificates{}
	s := newServer(t, func(d *web.Deps) { d.Certificates = owner })
	s.browser(t, "").get(t, "/certificate").want(200, "Trust this registry", "/etc/docker/certs.d/registry.test:8443/ca.crt", "~/.docker/tls/registry.test:8443", "macOS")
	b := s.browser(t, "admin")
	page := b.get(t, "/admin/certificate").want(200, "from the registry's own authority")
	page.submit("Renew now", nil).want(200, "The certificate was renewed")
	inDialog(t, page, "dialog-ca").want(200, "There is a new authority")
	page.submit("Use certificate", url.Values{"Certificate with its chain": {"C"}, "Private key": {"K"}}).want(200, "The certificate is in use")
	if got := fmt.Sprint(owner.calls); got != "[renew renew-ca replace C K]" {
		t.Errorf("the owner of the certificate was asked for %s", got)
	}
	http := newServer(t)
	http.browser(t, "admin").get(t, "/admin/certificate").want(200, "The service was started with plain HTTP")
}
