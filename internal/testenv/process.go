package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// logTail is how much of a process's log a failed test shows, in bytes.
const logTail = 64 << 10

// process is a server started for a test, with its output in a log file.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	done    chan struct{}
	err     error // what Wait returned; read it after done is closed
}

// startProcess starts cmd, appending its output to the file logPath. The kernel
// sends it SIGTERM if the test process dies before its cleanups ran.
func startProcess(t testing.TB, name, logPath string, cmd *exec.Cmd) *process {
	t.Helper()
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr(cmd.SysProcAttr, syscall.SIGTERM)
	p := &process{name: name, cmd: cmd, logPath: logPath, done: make(chan struct{})}
	if err := p.start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	return p
}

// start runs the child from a thread that lives until the child has ended: the
// kernel's signal at the parent's death is tied to the starting thread.
func (p *process) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return <-started
}

// exited says whether the process has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signalAndWait ends the process with sig and returns what Wait said. One that
// does not end within the limit is killed, which is an error.
func (p *process) signalAndWait(sig os.Signal, limit time.Duration) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end within %s of %s and was killed", p.name, limit, sig)
}

// output returns the last part of the process's log.
func (p *process) output() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	if len(text) > logTail {
		text = text[len(text)-logTail:]
	}
	return string(text)
}

// waitReady polls ready until it returns nil and fails the test when the process
// ends first or the limit passes.
func (p *process) waitReady(t testing.TB, limit time.Duration, ready func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.err, p.output())
		case <-deadline:
			t.Fatalf("%s is not ready after %s: %v\n%s", p.name, limit, err, p.output())
		case <-tick.C:
		}
	}
}

// dumpOnFailure shows the log of the process when the test has failed.
func (p *process) dumpOnFailure(t testing.TB) {
	if t.Failed() {
		t.Logf("log of %s:\n%s", p.name, p.output())
	}
}

// tempDir makes a folder with a short path, as unix sockets need (t.TempDir's
// holds the test's name), and removes it in cleanup.
func tempDir(t testing.TB, pattern string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", pattern)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// plainEnv is a small environment without proxies or settings of the user's own
// docker, followed by more.
func plainEnv(home string, more ...string) []string {
	return append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + home, "LANG=C.UTF-8", "TMPDIR=" + os.TempDir(),
	}, more...)
}
