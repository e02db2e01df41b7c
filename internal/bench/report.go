package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// megabytes is the measurement of a figure of memory.
func megabytes(name string, limit float64) measurement {
	return measurement{name: name, unit: "MB", less: true, limit: limit > 0, floor: limit}
}

// value is the sample in the unit of the measurement.
func (m measurement) value(s sample) float64 {
	if s.took == 0 {
		return s.ops
	}
	return s.ops / s.took.Seconds()
}

// cost is the server's processor time in milliseconds for each operation; for a
// large blob, for each 100 MB.
func (m measurement) cost(s sample) float64 {
	if s.ops == 0 {
		return 0
	}
	per := s.ops
	if m.unit == "MB/s" {
		per /= 100
	}
	return float64(s.cpu) / float64(time.Millisecond) / per
}

func (m measurement) show(s sample) string {
	return fmt.Sprintf("%10.1f %-11s %8.3f ms CPU", m.value(s), m.unit, m.cost(s))
}

// row is one line: the samples of both servers.
type row struct {
	transport string
	measurement
	samples map[string][]sample
}

// results keeps the rows in the order in which they came up.
type results struct{ rows []*row }

func (r *results) add(transport string, m measurement, server string, s sample) {
	i := slices.IndexFunc(r.rows, func(row *row) bool { return row.transport == transport && row.name == m.name })
	if i < 0 {
		i = len(r.rows)
		r.rows = append(r.rows, &row{transport: transport, measurement: m, samples: map[string][]sample{}})
	}
	r.rows[i].samples[server] = append(r.rows[i].samples[server], s)
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// print writes the table.
func (r *results) print(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "\n%d processors, %s, %s; medians; CPU is the server's, in ms per operation (per 100 MB for blobs)\n\n",
		runtime.NumCPU(), runtime.Version(), took.Round(time.Second))
	fmt.Fprintln(w, "| transport | measurement | unit | breakwater | distribution | ratio | floor | CPU breakwater | CPU distribution | CPU ratio |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	for _, row := range r.rows {
		fmt.Fprintln(w, row.line())
	}
}

func (r *row) line() string {
	ours, theirs := r.samples["breakwater"], r.samples["distribution"]
	a, b := median(ours, r.value), median(theirs, r.value)
	cells := []string{r.transport, r.name, r.unit, number(a), number(b), ratio(r.better(a, b)), r.target(a, b)}
	if len(ours) > 0 && ours[0].took > 0 {
		x, y := median(ours, r.cost), median(theirs, r.cost)
		cells = append(cells, fmt.Sprintf("%.3f", x), fmt.Sprintf("%.3f", y), ratio(y/x))
	} else {
		cells = append(cells, "", "", "")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// better is how many times better a is than b.
func (m measurement) better(a, b float64) float64 {
	if m.less {
		return b / a
	}
	return a / b
}

// target tells the floor and whether it was reached.
func (m measurement) target(a, b float64) string {
	if m.floor == 0 {
		return ""
	}
	text, reached := fmt.Sprintf("%gx", m.floor), m.better(a, b) >= m.floor
	if m.limit {
		text, reached = fmt.Sprintf("<= %g %s", m.floor, m.unit), a <= m.floor
	}
	if reached {
		return text + " ok"
	}
	return text + " MISSED"
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func ratio(v float64) string { return fmt.Sprintf("%.2fx", v) }
