package config_test

import (
	"path/filepath"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/config"
)

func TestDiskReserve(t *testing.T) {
	const gib = 1 << 30
	absent := filepath.Join(t.TempDir(), "absent.yaml")
	for text, want := range map[string]config.Reserve{
		"0": {}, "1%": {Percent: 1}, "0.5%": {Percent: 0.5}, "2GiB": {Bytes: 2 * gib}, "1048576": {Bytes: 1 << 20},
		"512MiB,1%": {Bytes: gib / 2, Percent: 1}, " 3 GiB , 2 % ": {Bytes: 3 * gib, Percent: 2}, "1KiB,1TiB": {Bytes: 1 << 40},
	} {
		if got := mustLoad(t, []string{"--disk-reserve=" + text}, nil, absent).DiskReserve; got != want {
			t.Errorf("%q = %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"1GB", "-1", "-1%", "91%", "NaN%", "x", "1,,2", "99999999TiB", "1MiB2"} {
		_, err := load(t, []string{"--disk-reserve=" + text}, nil, absent)
		wantError(t, err, "disk-reserve")
	}
	r := config.Reserve{Bytes: gib / 2, Percent: 1}
	if small, large := r.Of(gib), r.Of(1000*gib); small != gib/2 || large != 10*gib {
		t.Errorf("of 1 GiB and 1000 GiB are kept %d and %d", small, large)
	}
}
