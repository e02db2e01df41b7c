package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/breakwater-registry/breakwater/scanner"
	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// A collection of garbage takes with an image what the scanner knew of it.
func TestCollectedScans(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib","metadata":{"auto_scan":"true"}}`)
	for number := range int64(2) {
		if _, err := p.push(number, "lib/app"); err != nil {
			t.Fatal(err)
		}
	}
	for _, tag := range []string{"0", "1"} {
		p.awaitBody(t, "/api/v2.0/projects/lib/repositories/app/artifacts/"+tag+"?with_scan_overview=true", `"complete_percent":100`)
	}
	p.api(t, http.StatusOK, http.MethodGet, "/api/v2.0/projects/lib/repositories/app/artifacts/1", "")
	kept := digestIn(t, p.body)
	p.api(t, http.StatusOK, http.MethodDelete, "/api/v2.0/projects/lib/repositories/app/artifacts/0", "")
	for _, dry := range []string{"true", "false"} {
		p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/system/gc/schedule", `{"schedule":{"type":"Manual"},"parameters":{"dry_run":`+dry+`}}`)
	}
	p.awaitBody(t, "/api/v2.0/system/gc?q=job_status=Success", `"dry_run\":false`)
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	scans, err := scandb.Open(t.Context(), filepath.Join(p.server.data, scanner.ScanFile), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer scans.Close(t.Context())
	if known, err := scans.Manifests(t.Context()); err != nil || len(known) != 1 || known[0] != kept {
		t.Errorf("the scanner knows %v, %v; want %s", known, err, kept)
	}
}

// digestIn is the digest of an artifact as the API writes it.
func digestIn(t *testing.T, body []byte) string {
	t.Helper()
	var artifact struct{ Digest string }
	if err := json.Unmarshal(body, &artifact); err != nil {
		t.Fatal(err)
	}
	return artifact.Digest
}
