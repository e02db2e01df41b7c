package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// gcRun is what Harbor's clients read of a run or a schedule.
type gcRun struct {
	ID            int64  `json:"id"`
	JobName       string `json:"job_name"`
	JobKind       string `json:"job_kind"`
	JobParameters string `json:"job_parameters"`
	JobStatus     string `json:"job_status"`
	Schedule      struct {
		Type string `json:"type"`
		Cron string `json:"cron"`
		Next string `json:"next_scheduled_time"`
	} `json:"schedule"`
}

func TestGCRunNow(t *testing.T) {
	s := newServer(t)
	rec := s.do(t, "POST", "/api/v2.0/system/gc/schedule", "admin",
		`{"schedule":{"type":"Manual"},"parameters":{"delete_untagged":true,"workers":3,"dry_run":true}}`, http.StatusCreated)
	location := rec.Header().Get("Location")
	var id int64
	if _, err := fmt.Sscanf(location, "/api/v2.0/system/gc/%d", &id); err != nil {
		t.Fatalf("Location %q", location)
	}
	run := get[gcRun](t, s, location, "admin")
	if run.ID != id || run.JobName != "GARBAGE_COLLECTION" || run.JobKind != "MANUAL" || run.JobStatus != "Pending" ||
		!strings.Contains(run.JobParameters, `"delete_untagged":true`) || !strings.Contains(run.JobParameters, `"dry_run":true`) {
		t.Errorf("the run is %+v", run)
	}
	// A worker takes it and tells what it freed.
	if _, err := s.app.StartJob(t.Context(), "GARBAGE_COLLECTION"); err != nil {
		t.Fatal(err)
	}
	if err := s.app.ReportJob(t.Context(), id, `{"freed_space":42}`, "a line\n"); err != nil {
		t.Fatal(err)
	}
	run = get[gcRun](t, s, location, "admin")
	if run.JobStatus != "Running" || !strings.Contains(run.JobParameters, `"freed_space":42`) || !strings.Contains(run.JobParameters, `"dry_run":true`) {
		t.Errorf("the run is %+v", run)
	}
	if rec := s.do(t, "GET", location+"/log", "admin", nil, http.StatusOK); rec.Body.String() != "a line\n" || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("the log = %d %q %q", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
	s.do(t, "PUT", location, "admin", nil, http.StatusOK)
	if q, err := s.app.JobQueue(t.Context()); err != nil || len(q.Stopping) != 1 || q.Stopping[0] != id {
		t.Errorf("to be stopped are %v, %v", q.Stopping, err)
	}
	const list = "/api/v2.0/system/gc?q=job_status=Running"
	rec = s.do(t, "GET", list, "admin", nil, http.StatusOK)
	if runs := get[[]gcRun](t, s, list, "admin"); len(runs) != 1 || runs[0].ID != id || rec.Header().Get("X-Total-Count") != "1" {
		t.Errorf("the list is %+v, total %s", runs, rec.Header().Get("X-Total-Count"))
	}
	for _, path := range []string{"/api/v2.0/system/gc/999", "/api/v2.0/system/gc/999/log"} {
		s.do(t, "GET", path, "admin", nil, http.StatusNotFound)
	}
}

func TestGCSchedule(t *testing.T) {
	s := newServer(t)
	const path = "/api/v2.0/system/gc/schedule"
	if schedule := get[gcRun](t, s, path, "admin"); schedule.Schedule.Type != "None" {
		t.Errorf("at first the schedule is %+v", schedule)
	}
	for _, step := range []struct {
		method, body string
		status       int
		typ, cron    string
	}{
		{"POST", `{"schedule":{"type":"Daily","cron":"0 0 0 * * *"},"parameters":{"delete_untagged":true,"workers":1}}`, 201, "Daily", "0 0 0 * * *"},
		{"PUT", `{"schedule":{"type":"Custom","cron":"0 30 2 * * 6"},"parameters":{}}`, 200, "Custom", "0 30 2 * * 6"},
		{"PUT", `{"schedule":{"type":"Hourly"}}`, 200, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"Custom","cron":"nonsense"}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"Custom","cron":"* * * * * *"}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"Daily"},"parameters":{"workers":11}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"Daily"},"parameters":{"workers":0}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"Daily"},"parameters":{"dry_run":"yes"}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"parameters":{}}`, 400, "Hourly", "0 0 * * * *"},
		{"PUT", `{"schedule":{"type":"None"}}`, 200, "None", ""},
	} {
		s.do(t, step.method, path, "admin", step.body, step.status)
		schedule := get[gcRun](t, s, path, "admin")
		if schedule.Schedule.Type != step.typ || schedule.Schedule.Cron != step.cron || (schedule.Schedule.Next == "") != (step.typ == "None") {
			t.Errorf("after %s %s the schedule is %+v", step.method, step.body, schedule)
		}
	}
}

func TestGCIsForSystemAdmins(t *testing.T) {
	s := newServer(t)
	s.addUser(t, "bob")
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/system/gc", ""}, {"GET", "/system/gc/1", ""}, {"GET", "/system/gc/1/log", ""}, {"PUT", "/system/gc/1", ""},
		{"GET", "/system/gc/schedule", ""}, {"POST", "/system/gc/schedule", `{"schedule":{"type":"Manual"}}`},
		{"PUT", "/system/gc/schedule", `{"schedule":{"type":"None"}}`},
	} {
		for user, want := range map[string]int{"": http.StatusUnauthorized, "bob": http.StatusForbidden} {
			s.do(t, r.method, "/api/v2.0"+r.path, user, r.body, want)
		}
	}
}
