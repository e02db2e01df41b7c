package core_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// What the images of an index have alike is in its report once, with the images
// that have it; the layers that brought it differ.
func TestReportsAreJoined(t *testing.T) {
	shared := core.Vulnerability{CVE: "CVE-1", Package: "zlib", Version: "1", Arch: "x86_64", Layer: "sha256:l1"}
	onARM := shared
	onARM.Arch, onARM.Layer = "aarch64", "sha256:l2"
	newer := shared
	newer.Version = "2"
	report := core.ScanReport{Digest: "sha256:index"}
	report.Join(core.ScanReport{Digest: "sha256:a", OS: "Debian", Packages: 3, Vulnerabilities: []core.Vulnerability{shared}},
		core.ScanReport{Digest: "sha256:b", OS: "Debian", Packages: 4, Vulnerabilities: []core.Vulnerability{onARM, onARM, newer}})
	shared.Images, newer.Images = []string{"sha256:a", "sha256:b"}, []string{"sha256:b"}
	want := core.ScanReport{Digest: "sha256:index", OS: "Debian", Packages: 7, Vulnerabilities: []core.Vulnerability{shared, newer}}
	if !reflect.DeepEqual(report, want) {
		t.Errorf("report = %+v", report)
	}
}

func TestPlatformNames(t *testing.T) {
	for want, p := range map[string]*core.Platform{
		"":               {},
		"linux/arm64/v8": {OS: "linux", Architecture: "arm64", Variant: "v8"},
		"windows/amd64":  {OS: "windows", Architecture: "amd64", OSVersion: "10.0"},
		"wasm":           {Architecture: "wasm"},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
	if none := (*core.Platform)(nil).String(); none != "" {
		t.Errorf("no platform is %q", none)
	}
	if long := (&core.Platform{OS: strings.Repeat("x", 1000)}).String(); len(long) > 100 {
		t.Errorf("a name of %d bytes", len(long))
	}
}
