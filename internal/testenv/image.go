package testenv

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"testing"
)

// tarEntry is a file of a layer, or a symbolic link when Link is set.
type tarEntry struct {
	name string
	data []byte
	mode int64
	link string
}

// busyboxLayer is a layer with a shell that needs no library.
func busyboxLayer(t testing.TB) []byte {
	t.Helper()
	path := tool(t, "busybox", "busybox-static")
	if !static(path) {
		lacking(t, "a static busybox", "apt-get install busybox-static")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return tarball(t, []tarEntry{
		{name: "bin/busybox", data: data, mode: 0o755},
		{name: "bin/sh", link: "busybox"},
	})
}

// fileLayer is a layer with the given files, in a fixed order.
func fileLayer(t testing.TB, files map[string]string) []byte {
	t.Helper()
	entries := make([]tarEntry, 0, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, tarEntry{name: name, data: []byte(files[name]), mode: 0o644})
	}
	return tarball(t, entries)
}

// dockerArchive is an image in the format of docker save, with the layers given
// and the one name ref. The same layers always make the same image.
func dockerArchive(t testing.TB, ref string, layers [][]byte) []byte {
	t.Helper()
	var diffIDs, names []string
	var entries []tarEntry
	for i, layer := range layers {
		sum := sha256.Sum256(layer)
		diffIDs = append(diffIDs, "sha256:"+hex.EncodeToString(sum[:]))
		names = append(names, fmt.Sprintf("%d.tar", i))
		entries = append(entries, tarEntry{name: names[i], data: layer, mode: 0o644})
	}
	config := marshal(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "2026-01-01T00:00:00Z",
		"config": map[string]any{"Cmd": []string{"/bin/sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	manifest := marshal(t, []map[string]any{{"Config": "config.json", "RepoTags": []string{ref}, "Layers": names}})
	return tarball(t, append(entries,
		tarEntry{name: "config.json", data: config, mode: 0o644},
		tarEntry{name: "manifest.json", data: manifest, mode: 0o644}))
}

func tarball(t testing.TB, entries []tarEntry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), Typeflag: tar.TypeReg}
		if e.link != "" {
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// static says whether a program runs without a dynamic linker.
func static(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
