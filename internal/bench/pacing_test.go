package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/scanner/feeds"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

// Work takes the time from when it was due, also when no worker was free then.
func TestStreamCountsFromWhenWorkWasDue(t *testing.T) {
	stop := make(chan struct{})
	const busy = 50 * time.Millisecond
	done := 0
	s := stream{rate: 100, workers: []worker{func() (func(context.Context) error, error) {
		return func(context.Context) error {
			if done++; done == 4 {
				close(stop)
			}
			sleepUntil(time.Now().Add(busy))
			return nil
		}, nil
	}}}
	seen, err := s.run(t.Context(), stop)
	if err != nil || len(seen) < 4 {
		t.Fatalf("%d timings, %v", len(seen), err)
	}
	for i, one := range seen {
		// Each comes 10 ms after the one before it and is 50 ms in hand.
		if want := time.Duration(i) * (busy - 10*time.Millisecond); one.late < want || one.took < one.late+busy {
			t.Errorf("number %d was %s late and took %s", i, one.late, one.took)
		}
	}
}

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	for n := range 100 {
		sorted = append(sorted, time.Duration(n))
	}
	for part, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 99} {
		if got := percentile(sorted, part); got != want {
			t.Errorf("percentile %v is %d", part, got)
		}
	}
}

// The bundle is one that the product takes whole.
func TestBundle(t *testing.T) {
	const rows = 6000
	name := filepath.Join(t.TempDir(), "bundle.zst")
	if err := writeBundle(name, rows); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := vulndb.Open(t.Context(), filepath.Join(t.TempDir(), "cve.db"), vulndb.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // nothing reads it again
	importer := feeds.Importer{Begin: func(context.Context) (feeds.Batch, error) { return store.Begin(), nil }, Log: log}
	results, err := importer.Import(t.Context(), name, nil, func(note string) { t.Error(note) })
	if err != nil || len(results) != 1 || results[0].Feed != "redhat" {
		t.Fatalf("%v, %v", results, err)
	}
	statuses, err := store.UpdaterStatuses(t.Context())
	if err != nil || len(statuses) != 1 || statuses[0].Rows != rows {
		t.Errorf("%v, %v", statuses, err)
	}
}
