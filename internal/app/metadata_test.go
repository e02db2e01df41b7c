package app_test

import (
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
)

// What is not enforced must be refused in a sentence, unless it asks for what
// is the case anyway.
func TestMetadataIsNeverAcceptedAndIgnored(t *testing.T) {
	w := newTown(t)
	try := func(values map[string]string, want core.Code) {
		t.Helper()
		err := w.UpdateProject(t.Context(), w.ada, w.here, values, nil)
		wantCode(t, "update", err, want)
		_, err = w.CreateProject(t.Context(), w.ada, app.NewProject{Name: "new", Metadata: values})
		wantCode(t, "creation", err, want)
		if err == nil {
			err = w.DeleteProject(t.Context(), w.ada, core.ProjectRef{Name: "new"})
			wantCode(t, "deletion", err, "")
		}
	}
	for _, key := range []string{"proxy_cache_local_on_not_found"} {
		try(map[string]string{key: "false"}, "")
		for _, value := range []string{"true", "TRUE", "1", "yes", ""} {
			try(map[string]string{key: value}, core.CodeBadRequest)
		}
		if err := w.UpdateProject(t.Context(), w.ada, w.here, map[string]string{key: "true"}, nil); err == nil ||
			!strings.Contains(err.Error(), "this release does not enforce "+key) {
			t.Errorf("%s = %v", key, err)
		}
	}
	for _, key := range []string{"enable_content_trust", "enable_content_trust_cosign", "enable_content_trust_notation"} {
		try(map[string]string{key: "true"}, "")
		try(map[string]string{key: "false"}, "")
		try(map[string]string{key: "yes"}, core.CodeBadRequest)
	}
	for _, key := range []string{"prevent_vul", "auto_scan", "auto_sbom_generation", "reuse_sys_cve_allowlist", "ignore_unfixed", "quarantine"} {
		try(map[string]string{key: "true"}, "")
		try(map[string]string{key: "TRUE"}, core.CodeBadRequest)
		try(map[string]string{key: ""}, core.CodeBadRequest)
	}
	for _, key := range []string{"unknown_severity", "unscannable_images", "other_artifacts"} {
		try(map[string]string{key: "refuse"}, "")
		try(map[string]string{key: "allow"}, "")
		try(map[string]string{key: "true"}, core.CodeBadRequest)
	}
	try(map[string]string{"severity": "Critical", "prevent_vul": "true", "scan_wait_seconds": "0"}, "")
	try(map[string]string{"severity": "severe"}, core.CodeBadRequest)
	try(map[string]string{"scan_wait_seconds": "121"}, core.CodeBadRequest)
	try(map[string]string{"retention_id": "1"}, core.CodeBadRequest)
	try(map[string]string{"proxy_speed_kb": "100"}, core.CodeBadRequest)
	try(map[string]string{"unheard_of": "false"}, core.CodeBadRequest)
	try(map[string]string{"public": "1"}, core.CodeBadRequest)
	// What terraform's provider sends for a plain project.
	try(map[string]string{"auto_scan": "false", "public": "false", "severity": "low", "prevent_vul": "false", "enable_content_trust": "false",
		"enable_content_trust_cosign": "false", "auto_sbom_generation": "false", "proxy_speed_kb": "-1",
		"proxy_cache_local_on_not_found": "false", "reuse_sys_cve_allowlist": "true"}, "")
}

func TestPublicIsMetadata(t *testing.T) {
	w := newTown(t)
	want := func(public string) {
		t.Helper()
		values, err := w.ProjectMetadata(t.Context(), w.dan, w.here)
		if err != nil || len(values) != 1 || values["public"] != public {
			t.Errorf("metadata = %v, %v; want public %s", values, err, public)
		}
	}
	set := func(c core.Caller, value string, want core.Code) {
		t.Helper()
		wantCode(t, "set", w.SetProjectMetadata(t.Context(), c, w.here, core.ActUpdate, map[string]string{"public": value}), want)
	}
	want("false")
	set(w.dan, "true", core.CodeForbidden)
	set(w.ada, "true", "")
	want("true")
	if err := w.DeleteProjectMetadata(t.Context(), w.ada, w.here, "public"); err != nil {
		t.Fatal(err)
	}
	want("false")
	wantCode(t, "delete of another key", w.DeleteProjectMetadata(t.Context(), w.ada, w.here, "severity"), core.CodeNotFound)
	_, err := w.ProjectMetadata(t.Context(), w.gus, w.here)
	wantCode(t, "as guest", err, core.CodeForbidden)

	lister := robot(addRobot(t, w.accounts, core.Robot{Name: "robot$here+l", ProjectID: w.here.ID, Duration: -1, Grants: []core.RobotGrant{
		{ProjectID: w.here.ID, Permission: core.Permission{Resource: core.ResMetadata, Action: core.ActList}}}}))
	if _, err := w.ProjectMetadata(t.Context(), lister, w.here); err != nil {
		t.Errorf("a robot that may list = %v", err)
	}
	rows := w.audited(t)
	if joined := strings.Join(rows, "\n"); strings.Count(joined, "update project here ok public: false -> true") != 1 ||
		strings.Count(joined, "update project here ok public: true -> false") != 1 {
		t.Errorf("audit = %q", rows)
	}
}
