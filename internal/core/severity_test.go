package core_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestSeverityWords(t *testing.T) {
	for s := core.SeverityNone; s <= core.SeverityCritical; s++ {
		if read, err := core.ParseSeverity(s.String()); err != nil || read != s {
			t.Errorf("%d reads back as %d, %v", s, read, err)
		}
	}
	if s, err := core.ParseSeverity("cRITICAL"); err != nil || s != core.SeverityCritical {
		t.Errorf("cRITICAL = %v, %v", s, err)
	}
	for _, word := range []string{"", "defcon1", "7", "important"} {
		if s, err := core.ParseSeverity(word); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%q = %v, %v", word, s, err)
		}
	}
	if core.Severity(99).String() != "Unknown" {
		t.Error("a number outside the scale has a word")
	}
}

func TestAllowlistIsChecked(t *testing.T) {
	l := core.CVEAllowlist{Items: []string{"GHSA-jfh8-c2jp-5v3q", "CVE-2021-44228", "RHSA-2020:1234"}}
	if err := l.Validate(); err != nil || l.Items[0] != "CVE-2021-44228" {
		t.Errorf("%v, %v", l.Items, err)
	}
	for _, items := range [][]string{{"CVE-1", "CVE-1"}, {""}, {"CVE"}, {"CVE-1 OR 1=1"}, {"CVE-2021-1\n"}, {"<b>-1"}, make([]string, 10_001)} {
		l := core.CVEAllowlist{Items: items}
		if err := l.Validate(); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%.3q was taken: %v", items, err)
		}
	}
}
