package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

const kevPath = "/kev.json"

// kevServer serves a catalogue of known exploited vulnerabilities, as CISA's
// does, until it is broken.
func kevServer(t *testing.T) (server *httptest.Server, breakIt func()) {
	t.Helper()
	broken := make(chan struct{})
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-broken:
			http.Error(w, "try later", http.StatusServiceUnavailable)
		default:
			w.Header().Set("Last-Modified", "Tue, 01 Oct 2024 06:00:00 GMT")
			fmt.Fprint(w, `{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2024.10.01","count":1,"vulnerabilities":[
				{"cveID":"CVE-2021-44228","vulnerabilityName":"Log4j2","dateAdded":"2021-12-10","dueDate":"2021-12-24"}]}`)
		}
	}))
	t.Cleanup(server.Close)
	return server, func() { close(broken) }
}

// run waits for the end of a run of the feeds and returns its status.
func (p *pusher) feedRun(t *testing.T) (status, message string) {
	t.Helper()
	location := p.header.Get("Location")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		p.api(t, http.StatusOK, http.MethodGet, location, "")
		var run struct{ Status, Message string }
		if err := json.Unmarshal(p.body, &run); err != nil {
			t.Fatal(err)
		}
		if run.Status != "Pending" && run.Status != "Running" {
			return run.Status, run.Message
		}
	}
	t.Fatalf("the run did not end: %s", p.body)
	return "", ""
}

// An update of the running registry: settings, progress, result and failure as
// the API tells them.
func TestFeedUpdate(t *testing.T) {
	t.Parallel()
	p := newPusher(t, "--offline=false")
	p.api(t, http.StatusOK, http.MethodPut, "/api/v2.0/system/feeds/schedule", `{"schedule":{"type":"None"}}`) // none of its own
	server, breakIt := kevServer(t)
	p.api(t, http.StatusOK, http.MethodPut, "/api/v2.0/system/feeds/kev", `{"enabled":true,"urls":{"catalog":"`+server.URL+kevPath+`"}}`)
	for _, want := range []string{`1 of 1 parts have new data, 1 records`, `0 of 1 parts have new data`} {
		p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/system/feeds/update", `{"feeds":["kev"]}`)
		location := p.header.Get("Location")
		if status, message := p.feedRun(t); status != "Success" {
			t.Fatalf("%s: %s", status, message)
		}
		p.api(t, http.StatusOK, http.MethodGet, location+"/log", "")
		if !strings.Contains(string(p.body), want) {
			t.Errorf("the log is %q, want %q", p.body, want)
		}
	}
	breakIt()
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/system/feeds/update", `{"feeds":["kev"],"force":true}`)
	if status, message := p.feedRun(t); status != "Error" || !strings.HasPrefix(message, "1 of 1 feeds are not up to date: kev") {
		t.Errorf("with a broken source: %s %q", status, message)
	}
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/system/feeds/kev", "")
	for _, want := range []string{`"records":1`, `"stale":false`, `"last_error":"clair.kev: GET ` + server.URL + kevPath + `: 503 Service Unavailable"`} {
		if !strings.Contains(string(p.body), want) {
			t.Errorf("the feed has no %s: %s", want, p.body)
		}
	}
}

// writeClairctl writes a file of clairctl with so many records of Debian.
func writeClairctl(t *testing.T, path string, records int) {
	t.Helper()
	var b strings.Builder
	ref := uuid.New()
	for i := range records {
		fmt.Fprintf(&b, `{"Updater":"debian/updater","Fingerprint":"x","Date":%q,"Ref":%q,"Vuln":{"name":"CVE-2024-%d","description":"Number %d","normalized_severity":"High","package":{"name":"package-%d","kind":"source"},"fixed_in_version":"1.%d"},"Kind":"vulnerability"}`+"\n",
			time.Now().UTC().Format(time.RFC3339), ref, i, i, i%977, i)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A registry is killed in the middle of an import: nothing of it is seen, and
// the next start brings it to its end.
func TestKilledImport(t *testing.T) {
	t.Parallel()
	const records = 60_000
	p := newPusher(t)
	bundle := filepath.Join(p.dir, "clairctl.json")
	writeClairctl(t, bundle, records)
	cmd := exec.Command("breakwater", "feeds", "import", "--data", p.server.data, bundle)
	cmd.Dir, cmd.Env = p.dir, plainEnv(p.dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	p.awaitBody(t, "/api/v2.0/system/feeds/runs", `"step":"writing"`)
	_ = p.server.end(syscall.SIGKILL)
	p.start(t)
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/system/feeds/debian", "")
	if !strings.Contains(string(p.body), `"records":0`) {
		t.Errorf("after the kill: %s", p.body)
	}
	p.awaitBody(t, "/api/v2.0/system/feeds/runs", `"status":"Success"`)
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/system/feeds/debian", "")
	if !strings.Contains(string(p.body), fmt.Sprintf(`"records":%d`, records)) {
		t.Errorf("after the next start: %s", p.body)
	}
	if left, err := filepath.Glob(filepath.Join(p.server.data, "feeds", "import", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func (p *pusher) awaitBody(t *testing.T, path, want string) {
	t.Helper()
	for end := time.Now().Add(2 * patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		p.api(t, http.StatusOK, http.MethodGet, path, "")
		if strings.Contains(string(p.body), want) {
			return
		}
	}
	t.Fatalf("%s never had %s: %s", path, want, p.body)
}
