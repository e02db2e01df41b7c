package ui_test

import (
	"context"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
)

// The bar shows every severity that is there, however few of it there are, and
// is read as the numbers; the badge has the word beside its picture.
func TestVulnSaysItsNumbers(t *testing.T) {
	tally := core.Tally{Critical: 1, Medium: 2000, Unknown: 3, Fixable: 1500, KEV: 1}
	var b strings.Builder
	if err := ui.Vuln(tally).Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`aria-label="1 Critical, 2,000 Medium, 3 Unknown"`, `#critical"`, "Critical", "KEV", "1,500 of 2,004 fixable",
		`class="fill-critical" x="0.0" width="3.0"`, `class="fill-minor" x="102.8" width="3.0"`, `viewBox="0 0 105.8 6"`} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%s is missing in %s", part, b.String())
		}
	}
}

func TestNoFindingsHasNoBar(t *testing.T) {
	var b strings.Builder
	if err := ui.Vuln(core.Tally{}).Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "sevbar") || !strings.Contains(b.String(), "No findings") {
		t.Error(b.String())
	}
}
