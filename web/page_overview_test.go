package web_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web"
)

func TestOverview(t *testing.T) {
	s := newServer(t)
	admin := s.browser(t, "admin")
	admin.get(t, "/").want(200, "Projects", "Repositories", "Storage", "Pulls", "docker login -u admin registry.test:8443", "Create a project first",
		"There is no vulnerability data")
	s.readFeed(t, "debian")
	admin.get(t, "/").want(200, "Vulnerability data is out of date", "or never: Ubuntu OVAL, Red Hat VEX, Oracle Linux OVAL, Alpine SecDB, NVD (CVSS).")
	for _, feed := range []string{"ubuntu", "redhat", "oracle", "alpine", "nvd"} {
		s.readFeed(t, feed)
	}
	page := admin.get(t, "/")
	if page.role("h2", "Needs attention") != nil && !strings.Contains(page.text(), "The disk is") { // of the machine that tests
		t.Errorf("something needs attention: %s", page.text())
	}
	s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", map[string]any{"project_name": "team-a"}, 201)
	page = admin.get(t, "/?days=7").want(200, "docker push registry.test:8443/team-a/ubuntu:24.04", "in the last 7 days")
	if rows := page.all(func(n *html.Node) bool { return n.Data == "tr" }); len(rows) != 8 {
		t.Errorf("the table behind the charts has %d rows", len(rows))
	}
	admin.get(t, "/?days=1000000").want(200, "in the last 30 days")
	s.addUser(t, "amy")
	text := s.browser(t, "amy").get(t, "/").want(200, "Projects").text()
	for _, hidden := range []string{"Storage", "Activity", "Needs attention", "team-a"} {
		if strings.Contains(text, hidden) {
			t.Errorf("a user without rights sees %q: %s", hidden, text)
		}
	}
}

// readFeed has a feed read with one record.
func (s *server) readFeed(t *testing.T, feed string) {
	t.Helper()
	result := core.FeedResult{Feed: feed, Origin: core.FeedFetched, Parts: []core.FeedPartResult{{Name: feed, Changed: true, Records: 1}}}
	if err := s.app.RecordFeeds(t.Context(), result); err != nil {
		t.Fatal(err)
	}
}

// ending is certificates with an end.
type ending struct {
	certificates
	info web.CertificateInfo
}

func (e *ending) Info() (web.CertificateInfo, error) { return e.info, nil }

func TestOverviewWarnings(t *testing.T) {
	day := 24 * time.Hour
	for _, test := range []struct {
		name, external, source string
		left                   time.Duration
		want, not              string
	}{
		{"an own certificate that ends soon", "https://registry.test", "files", 29*day + time.Hour, "The server certificate ends in 29 days", ""},
		{"one with time left", "https://registry.test", "files", 31 * day, "", "certificate ends"},
		{"one that the registry renews itself", "https://registry.test", "own-ca", 20 * day, "", "certificate ends"},
		{"one that should have been renewed", "https://registry.test", "acme", 4*day + time.Hour, "The server certificate ends in 4 days", ""},
		{"an expired one", "https://registry.test", "uploaded", -day, "The server certificate has expired", ""},
		{"plain HTTP", "http://localhost", "", 0, "The registry speaks plain HTTP", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(d *web.Deps) {
				d.ExternalURL = test.external
				if test.source != "" {
					d.Certificates = &ending{info: web.CertificateInfo{Source: test.source, NotAfter: time.Now().Add(test.left)}}
				}
			})
			page := s.browser(t, "admin").get(t, "/")
			if test.want != "" {
				page.want(200, "Needs attention", test.want)
			}
			if test.not != "" && strings.Contains(page.text(), test.not) {
				t.Errorf("the page says %q", test.not)
			}
			s.addUser(t, "amy")
			if strings.Contains(s.browser(t, "amy").get(t, "/").text(), "Needs attention") {
				t.Error("everybody sees the warnings")
			}
		})
	}
}

// What runs is told to those who administer the registry, with how far it is.
func TestOverviewJobs(t *testing.T) {
	s := newServer(t)
	system := core.Caller{Subject: core.System}
	if _, err := s.app.StartGC(t.Context(), system, app.GCOptions{DryRun: true}); err != nil {
		t.Fatal(err)
	}
	job, err := s.app.StartJob(t.Context(), app.JobGC)
	if err == nil {
		err = s.app.ReportJob(t.Context(), job.ID, `{"phase":"blobs","done":3,"total":8}`, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	admin := s.browser(t, "admin")
	page := admin.get(t, "/").want(200, "Running now", "Garbage collection", "Removing blobs that nothing uses", "started just now")
	bars := page.all(func(n *html.Node) bool {
		return n.Data == "progress" && attr(n, "value") == "3" && attr(n, "max") == "8"
	})
	if len(bars) != 1 {
		t.Errorf("%d bars say how far the job is", len(bars))
	}
	if links := page.all(func(n *html.Node) bool { return attr(n, "href") == "/admin/jobs/"+strconv.FormatInt(job.ID, 10) }); len(links) != 1 {
		t.Errorf("%d links lead to the job", len(links))
	}
	s.addUser(t, "amy")
	if text := s.browser(t, "amy").get(t, "/").want(200).text(); strings.Contains(text, "Running now") {
		t.Errorf("a user without rights sees what runs: %s", text)
	}
}
