package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// pacingReport is what -import prints.
type pacingReport struct {
	rows                  int
	alone, loaded         imported // the import without and with the load
	before, during, after window
	peak                  float64 // bytes
}

// print writes what was measured, be it all or what came before an error.
func (r *pacingReport) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d processors, %s, load average %s; import of %d rows; %d manifest GETs and %d image pushes a second, timed from when they were due\n\n",
		runtime.NumCPU(), runtime.Version(), loadAverage(), r.rows, getsPerSecond, pushesPerSecond)
	fmt.Fprintln(w, "| measurement | unit | before | during the import | after | ratio | target |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	r.times(w, "manifest GET", func(p window) []timing { return p.gets })
	r.times(w, "image push", func(p window) []timing { return p.pushes })
	r.figure(w, "begun late, p99", "ms", func(p window) float64 { return milliseconds(percentile(p.late(), 0.99)) })
	r.figure(w, "CPU of the server", "processors", func(p window) float64 { return p.server.Seconds() / p.took.Seconds() })
	r.figure(w, "CPU of the load", "processors", func(p window) float64 { return p.driver.Seconds() / p.took.Seconds() })
	m := megabytes("peak memory", mostMemory)
	fmt.Fprintf(w, "| %s | %s | | %s | | | %s |\n", m.name, m.unit, number(r.peak/1e6), m.target(r.peak/1e6, 0))
	fmt.Fprintf(w, "\nThe import alone: %s\nThe import beside the load: %s\n", r.alone, r.loaded)
}

// times writes how long one kind of work took.
func (r *pacingReport) times(w io.Writer, name string, of func(window) []timing) {
	for _, part := range []struct {
		name string
		part float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}} {
		at := func(timings []timing) float64 { return milliseconds(percentile(durations(timings), part.part)) }
		before, during := at(of(r.before)), at(of(r.during))
		target := ""
		if part.part == 0.99 {
			target = mostRatio(during / before)
		}
		fmt.Fprintf(w, "| %s, %s | ms | %.2f | %.2f | %.2f | %s | %s |\n", name, part.name, before, during, at(of(r.after)), ratio(during/before), target)
		if part.part == 0.99 {
			r.steps(w, name, before, of(r.during), at)
		}
	}
}

// steps writes the same for each step of the import.
func (r *pacingReport) steps(w io.Writer, name string, before float64, all []timing, at func([]timing) float64) {
	for i, step := range r.loaded.steps {
		until := time.Now()
		if i+1 < len(r.loaded.steps) {
			until = r.loaded.steps[i+1].began
		}
		part := slices.DeleteFunc(slices.Clone(all), func(t timing) bool { return t.due.Before(step.began) || !t.due.Before(until) })
		if len(part) > 0 {
			fmt.Fprintf(w, "| - while %s | ms | | %.2f | | %s | |\n", step.name, at(part), ratio(at(part)/before))
		}
	}
}

func (r *pacingReport) figure(w io.Writer, name, unit string, of func(window) float64) {
	fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.2f | | |\n", name, unit, of(r.before), of(r.during), of(r.after))
}

func mostRatio(v float64) string {
	if v <= mostSlower {
		return fmt.Sprintf("<= %dx ok", mostSlower)
	}
	return fmt.Sprintf("<= %dx MISSED", mostSlower)
}

// String tells how long the import took.
func (i imported) String() string {
	switch {
	case i.rows == 0:
		return "not measured"
	case i.took == 0:
		return fmt.Sprintf("not seen to its end, %d rows", i.rows)
	}
	return fmt.Sprintf("%d rows in %s, %.0f a second", i.rows, i.took.Round(100*time.Millisecond), float64(i.rows)/i.took.Seconds())
}

// summary tells of a window in a line.
func (w window) summary() string {
	var parts []string
	for _, of := range []struct {
		name    string
		timings []timing
	}{{"GET", w.gets}, {"push", w.pushes}} {
		times := durations(of.timings)
		parts = append(parts, fmt.Sprintf("%d x %s, p50 %.2f ms, p99 %.2f ms", len(times), of.name,
			milliseconds(percentile(times, 0.5)), milliseconds(percentile(times, 0.99))))
	}
	return strings.Join(parts, "; ")
}

// durations returns how long the work took, sorted.
func durations(timings []timing) []time.Duration {
	return sorted(timings, func(t timing) time.Duration { return t.took })
}

// late returns how long all work had to wait for a worker, sorted.
func (w window) late() []time.Duration {
	return sorted(slices.Concat(w.gets, w.pushes), func(t timing) time.Duration { return t.late })
}

func sorted(timings []timing, of func(timing) time.Duration) []time.Duration {
	all := make([]time.Duration, len(timings))
	for i, t := range timings {
		all[i] = of(t)
	}
	slices.Sort(all)
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
