package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// residentFiles is how much memory holds parts of files, in KiB.
func residentFiles(t *testing.T) (kib int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

func TestCodeIsForgotten(t *testing.T) {
	before := residentFiles(t)
	if err := forgetCode(); err != nil {
		t.Fatal(err)
	}
	if after := residentFiles(t); after >= before {
		t.Errorf("%d KiB of files are in memory, before there were %d", after, before)
	}
}
