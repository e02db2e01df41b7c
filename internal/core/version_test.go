package core_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestCompareVersions(t *testing.T) {
	for _, rising := range [][]string{
		{"1.0~rc1", "1.0", "1.0a", "1.0+b", "1.0.1", "1.9", "1.10", "1:0.1"},
		{"3.0.11-1~deb12u2", "3.0.14-1~deb12u2", "3.0.17-1~deb12u1"},
		{"1.36.1-r0", "1.36.1-r2", "1.36.1-r10"},
		{"2.17-323.el7", "2.17-326.el7_9"},
	} {
		for i := range rising[1:] {
			if core.CompareVersions(rising[i], rising[i+1]) >= 0 || core.CompareVersions(rising[i+1], rising[i]) <= 0 {
				t.Errorf("%s is not below %s", rising[i], rising[i+1])
			}
		}
	}
	if core.CompareVersions("1.02", "0:1.2") != 0 {
		t.Error("leading zeros and an epoch of 0 count")
	}
}
