package feeds_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestChangesOfVEX reads the archive once and then what changed.
func TestChangesOfVEX(t *testing.T) {
	m, s := newMirror(t), newSite(t)
	feed := m.feed("redhat")
	s.update(t, feed, false)
	first := testdata(t, "redhat/cve-2024-24786.json")
	third := bytes.ReplaceAll(first, []byte("2024-24786"), []byte("2024-30000"))
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	m.put("/redhat/vex/2024/cve-2024-30000.json", third)
	m.put("/redhat/vex/changes.csv", fmt.Appendf(nil, "%q,%q\n", "2024/cve-2024-30000.json", later))
	m.put("/redhat/vex/deletions.csv", fmt.Appendf(nil, "%q,%q\n", "2024/cve-2024-24999.json", later))
	m.asked()
	result := s.update(t, feed, false)
	if text := result.Summary(); text != "" {
		t.Fatal(text)
	}
	if asked := strings.Join(m.asked(), "\n"); strings.Contains(asked, "tar.zst") {
		t.Errorf("the archive was read again:\n%s", asked)
	}
	all := content(s.store)
	for cve, want := range map[string]bool{"CVE-2024-24786": true, "CVE-2024-24999": false, "CVE-2024-30000": true} {
		if strings.Contains(all, cve) != want {
			t.Errorf("%s is there: %v\n%s", cve, !want, all)
		}
	}
	s.update(t, feed, true)
	if !strings.Contains(strings.Join(m.asked(), "\n"), "GET /redhat/vex/csaf_vex_2024-10-01.tar.zst") {
		t.Error("the archive was not read although everything was asked for")
	}
}
