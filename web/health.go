package web

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

const (
	// healthFor is how long a report is given out again: anyone may ask, and
	// the probes cost a disk write.
	healthFor = 5 * time.Second
	// probeTimeout bounds all probes together.
	probeTimeout = 10 * time.Second
)

// healthJSON is Harbor's OverallHealthStatus.
type healthJSON struct {
	Status     string          `json:"status"`
	Components []componentJSON `json:"components"`
}

// componentJSON is Harbor's ComponentHealthStatus. Why a part is not healthy is
// in the log; the answer is for everyone.
type componentJSON struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
)

// health runs the checks, one round at a time.
type health struct {
	log    *slog.Logger
	checks []Check
	now    func() time.Time

	mu    sync.Mutex
	last  healthJSON
	until time.Time
}

func newHealth(deps Deps) *health {
	checks := []Check{
		{Name: "database", Probe: deps.App.Ping},
	}
	return &health{log: deps.Log, checks: append(checks, deps.Checks...), now: time.Now}
}

// report returns the state of all parts, at most healthFor old.
func (h *health) report(ctx context.Context) healthJSON {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now().Before(h.until) {
		return h.last
	}
	// The round serves others too, so this client's leaving must not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	result := healthJSON{Status: healthy}
	for _, check := range h.checks {
		status := healthy
		if err := check.Probe(ctx); err != nil {
			h.log.WarnContext(ctx, "a part of the registry is not healthy", "component", check.Name, "error", err)
			status, result.Status = unhealthy, unhealthy
		}
		result.Components = append(result.Components, componentJSON{check.Name, status})
	}
	h.last, h.until = result, h.now().Add(healthFor)
	return result
}

// hostOf returns the host and port of an address as docker writes them.
func hostOf(externalURL string) string {
	u, err := url.Parse(externalURL)
	if err != nil {
		return ""
	}
	return u.Host
}
