package blobs_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/breakwater-registry/breakwater/registry/blobs"
)

// BenchmarkCommit64KiB uploads blobs of 64 KiB in three requests, and reports
// the syncs of each.
func BenchmarkCommit64KiB(b *testing.B) {
	s, layer, _ := spied(b)
	data := random(9, 64<<10)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		data[0], data[1], data[2] = byte(i), byte(i>>8), byte(i>>16)
		u := begin(b, s)
		u.Release()
		u = resume(b, s, u.ID())
		add(b, u, data)
		u.Release()
		u = resume(b, s, u.ID())
		finish(b, u, blobs.File{Digest: digest.FromBytes(data)})
		u.Release()
	}
	var files, dirs float64
	for _, op := range layer.take() {
		switch {
		case op == "sync":
			files++
		case strings.HasPrefix(op, "syncdir"):
			dirs++
		}
	}
	b.ReportMetric(files/float64(b.N), "filesyncs/op")
	b.ReportMetric(dirs/float64(b.N), "dirsyncs/op")
}

// BenchmarkAppend1GiB appends without committing: system calls and hashing.
func BenchmarkAppend1GiB(b *testing.B) {
	s, data := open(b, emptyRoot(b)), random(10, 1<<20)
	b.SetBytes(1 << 30)
	for b.Loop() {
		u := begin(b, s)
		for range 1 << 10 {
			add(b, u, data)
		}
		if err := u.Discard(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
