// Package metrics counts requests for Prometheus.
package metrics

import (
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/breakwater-registry/breakwater/internal/httpx"
)

// Metrics holds the counters of one server.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// Gauge is a figure that is read when Prometheus asks: Value may fail, and the
// figure is left out then.
type Gauge struct {
	Name, Help string
	Value      func() (float64, error)
}

// New makes the counters, with the given gauges and those of the Go runtime
// and the process.
func New(version string, gauges []Gauge) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "breakwater_http_requests_total", Help: "Requests answered, by part of the API, method and status."},
			[]string{"part", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "breakwater_http_request_duration_seconds", Help: "Time until the answer was complete.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 600}},
			[]string{"part", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "breakwater_http_inflight_requests", Help: "Requests being answered now."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "breakwater_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, build, gaugeCollector{gauges},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// gaugeCollector reads the gauges anew at every scrape.
type gaugeCollector struct{ gauges []Gauge }

// Describe implements prometheus.Collector.
func (c gaugeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		ch <- g.desc()
	}
}

// Collect implements prometheus.Collector.
func (c gaugeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, g := range c.gauges {
		if v, err := g.Value(); err == nil {
			ch <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, v)
		}
	}
}

func (g Gauge) desc() *prometheus.Desc { return prometheus.NewDesc(g.Name, g.Help, nil, nil) }

// Wrap returns next with its requests counted.
func (m *Metrics) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		out := &httpx.Writer{ResponseWriter: w}
		next.ServeHTTP(out, r)
		part, method := partOf(r.URL.Path), methodOf(r.Method)
		m.requests.WithLabelValues(part, method, strconv.Itoa(out.Status())).Inc()
		m.duration.WithLabelValues(part, method).Observe(time.Since(began).Seconds())
	})
}

// partOf names the part of the server a path belongs to; a label must not hold
// what clients make up.
func partOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/v2/"):
		return registryPart(path)
	case strings.HasPrefix(path, "/service/token"):
		return "token"
	case strings.HasPrefix(path, "/api/"):
		return "api"
	}
	return "web"
}

func registryPart(path string) string {
	for _, part := range []string{"/blobs/uploads", "/blobs/", "/manifests/", "/tags/", "/referrers/"} {
		if strings.Contains(path, part) {
			return "registry_" + strings.ReplaceAll(strings.Trim(part, "/"), "/", "_")
		}
	}
	return "registry"
}

func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// Handler answers /metrics. Where token is not empty it must come as a bearer
// token.
func (m *Metrics) Handler(token string) http.Handler {
	scrape := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "the metrics need the bearer token of the metrics-token-file setting", http.StatusUnauthorized)
			return
		}
		scrape.ServeHTTP(w, r)
	})
}
