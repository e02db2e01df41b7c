package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

// fsck runs the command and demands an exit status; it returns what was printed.
func (p *pusher) fsck(t *testing.T, want int, args ...string) string {
	t.Helper()
	cmd := exec.Command("breakwater", append([]string{"fsck", "--data", p.server.data}, args...)...)
	cmd.Dir, cmd.Env = p.dir, plainEnv(p.dir)
	out, err := cmd.CombinedOutput()
	status := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		status = e.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if status != want {
		t.Errorf("fsck %s ended with %d, want %d:\n%s", args, status, want, out)
	}
	return string(out)
}

// A layer rots: the exit status and the text tell, a repair keeps the pieces,
// and a push makes the image whole.
func TestFsckFromDamageToPush(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib"}`)
	if _, err := p.push(1, "lib/app"); err != nil {
		t.Fatal(err)
	}
	p.fsck(t, 0)
	files, err := filepath.Glob(filepath.Join(p.server.data, "blobs", "sha256", "*", "*.*"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%d blob files: %v", len(files), err)
	}
	rot(t, files)
	if out := p.fsck(t, 1); strings.Count(out, "its content has the digest sha256:") != 5 || !strings.Contains(out, "touches lib/app:1\n") {
		t.Errorf("beside the registry:\n%s", out)
	}
	if out := p.fsck(t, 2, "--repair"); !strings.Contains(out, "stop it first") {
		t.Error(out)
	}
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out := p.fsck(t, 1, "--repair"); strings.Count(out, "repaired: its file is in the quarantine") != 5 || !strings.Contains(out, "5 problems found, 5 repaired") {
		t.Errorf("with --repair:\n%s", out)
	}
	p.start(t)
	if err := p.pull(1); err == nil || !strings.Contains(err.Error(), "is damaged; push it again") {
		t.Errorf("a pull answers %v", err)
	}
	if _, err := p.push(1, "lib/app"); err != nil {
		t.Fatal(err)
	}
	if err := p.pull(1); err != nil {
		t.Error(err)
	}
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.fsck(t, 0)
	p.fsck(t, 2, "--no-such-flag")
	p.fsck(t, 2, "argument")
}

// rot changes one bit in each of the files.
func rot(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil {
			text[len(text)/2] ^= 1
			err = os.WriteFile(name, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A crash came between the journal and the database: the change was not
// acknowledged, and must not come back with a rebuild.
func TestStartVoidsWhatWasNotCommitted(t *testing.T) {
	t.Parallel()
	p := newPusher(t)
	p.api(t, http.StatusCreated, http.MethodPost, "/api/v2.0/projects", `{"project_name":"lib"}`)
	if _, err := p.push(1, "lib/app"); err != nil {
		t.Fatal(err)
	}
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(p.server.data, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = j.Append([]core.JournalEntry{{Op: core.JournalDeleteTag, Repository: "lib/app", Tag: "1"}})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	p.fsck(t, 0)
	p.start(t)
	if _, err := p.server.await(p.server.log, regexp.MustCompile(`a change was voided`)); err != nil {
		t.Error(err)
	}
	if err := p.server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tags := map[string]bool{}
	err = journal.Replay(filepath.Join(p.server.data, "journal"), func(e core.JournalEntry) error {
		if e.Op == core.JournalDeleteTag {
			tags[e.Tag] = true
		}
		return nil
	})
	if err != nil || len(tags) != 0 {
		t.Errorf("a rebuild would delete %v: %v", tags, err)
	}
	p.fsck(t, 0)
	p.start(t)
	if err := p.pull(1); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.server.log.String(), "voided") {
		t.Error("the second start voids again")
	}
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{out: &out, terminal: true}
	b.Phase("blobs", 4<<20, true)
	b.began = b.began.Add(-10 * time.Second)
	b.drawn = time.Time{}
	b.Add(1 << 20)
	b.clear()
	if got := out.String(); !strings.HasSuffix(got, "\r\033[Kblobs [######------------------] 25%, 1.0 MiB of 4.0 MiB, 102.4 KiB/s, 30s left\r\033[K") {
		t.Errorf("%q", got)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 5 << 40: "5.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	if got := newBar(&out).terminal; got {
		t.Error("a buffer is taken for a terminal")
	}
}
