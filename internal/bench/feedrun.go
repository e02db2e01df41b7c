package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// feedRun is an import of a bundle as the registry tells of it.
type feedRun struct {
	Status   string    `json:"status"`
	Message  string    `json:"message"`
	Started  time.Time `json:"start_time"`
	Ended    time.Time `json:"end_time"`
	Progress struct {
		Step     string `json:"step"`
		Imported int    `json:"imported"`
	} `json:"progress"`
}

// imported is what was seen of an import.
type imported struct {
	rows  int
	took  time.Duration
	steps []step
}

// step is what an import did from a moment on.
type step struct {
	name  string
	began time.Time
}

// pollEvery is how often the progress of an import is asked for.
const pollEvery = 500 * time.Millisecond

// importBundle uploads the file and waits until its import has ended.
func (c *client) importBundle(ctx context.Context, name string) (result imported, err error) {
	location, err := c.sendFile(ctx, "/api/v2.0/system/feeds/import", name)
	if err != nil {
		return result, err
	}
	for {
		var run feedRun
		if err := c.call(ctx, http.MethodGet, location, nil, http.StatusOK, &run); err != nil {
			return result, err
		}
		result.note(run)
		switch run.Status {
		case "Pending", "Running":
		case "Success":
			return result, nil
		default:
			return result, fmt.Errorf("the import ended with %s: %s", run.Status, run.Message)
		}
		select {
		case <-ctx.Done():
			return result, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

func (i *imported) note(run feedRun) {
	i.rows = max(i.rows, run.Progress.Imported)
	if !run.Ended.IsZero() {
		i.took = run.Ended.Sub(run.Started)
	}
	if name := run.Progress.Step; name != "" && (len(i.steps) == 0 || i.steps[len(i.steps)-1].name != name) {
		i.steps = append(i.steps, step{name, time.Now()})
	}
}

// administrator returns a client with a session, so that its requests need no
// check of a password, which costs more than all the load.
func (s *server) administrator(ctx context.Context) (*client, error) {
	c := s.anonymous("")
	form := url.Values{"principal": {"admin"}, "password": {adminPassword}}.Encode()
	header, err := c.exchange(ctx, http.MethodPost, "/c/login", "application/x-www-form-urlencoded", []byte(form), http.StatusOK)
	if err != nil {
		return nil, err
	}
	c.cookie, _, _ = strings.Cut(header.Get("Set-Cookie"), ";")
	return c, nil
}

// sendFile posts a file and returns where the registry tells of what it made.
func (c *client) sendFile(ctx context.Context, path, name string) (location string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	res, err := c.send(ctx, http.MethodPost, path, "application/octet-stream", io.NopCloser(file), info.Size(), http.StatusCreated)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	return res.Header.Get("Location"), c.discard(res.Body)
}
