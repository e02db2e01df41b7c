package testenv

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dockerdStart and dockerdStop bound how long the daemon may take.
const (
	dockerdStart = 2 * time.Minute
	dockerdStop  = time.Minute
)

// DockerdOptions says how to start a docker daemon.
type DockerdOptions struct {
	Netns *Netns // where it runs; nil: where the test runs
}

// Dockerd is a docker daemon of one test, with its own socket, data and
// /etc/docker. Another daemon on the machine is neither used nor disturbed.
// Containers have no network of docker's: run them with --network=none or host.
type Dockerd struct {
	// Host is the daemon's address, as for DOCKER_HOST.
	Host string

	clis []*DockerCLI
	dir  string
	etc  string // what the daemon and its command lines see as /etc/docker
	proc *process
}

// DockerCLI is a docker command line, logged in nowhere, for one daemon.
type DockerCLI struct {
	Path    string // of the program
	Version string // such as 20.10.24

	daemon *Dockerd
	config string // its DOCKER_CONFIG
}

// StartDockerd starts /usr/sbin/dockerd and waits until it answers. It needs
// root and Debian's docker.io.
func StartDockerd(t testing.TB, opts DockerdOptions) *Dockerd {
	t.Helper()
	program := tool(t, "dockerd", "docker.io")
	dir := tempDir(t, "bw-dockerd-")
	d := &Dockerd{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir, etc: filepath.Join(dir, "etc")}
	// Without /etc/docker there is nothing to mount over; dockerd makes it as well.
	for _, path := range []string{"/etc/docker", d.etc} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := inNetns(context.Background(), opts.Netns, dockerdCommand(program, dir, d)...)
	cmd.Env = plainEnv(dir)
	d.proc = startProcess(t, "dockerd", filepath.Join(dir, "log"), cmd)
	t.Cleanup(func() { d.stop(t) })
	d.proc.waitReady(t, dockerdStart, pingDocker(filepath.Join(dir, "docker.sock")))
	d.clis = findCLIs(t, d, dir)
	return d
}

// dockerdCommand starts the daemon in a mount namespace of its own, where
// /etc/docker is a folder of the test: the system's settings and certificates
// are out of sight, and every mount of the daemon goes when it ends.
func dockerdCommand(program, dir string, d *Dockerd) []string {
	return []string{
		"unshare", "--mount", "--", "sh", "-c", `mount --bind "$1" /etc/docker && shift && exec "$@"`, "sh", d.etc,
		program, "--host", d.Host, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		// No packet filter, bridge or address of the machine is touched.
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false",
	}
}

// CLI returns the default docker command line: Debian's, when there are several.
func (d *Dockerd) CLI() *DockerCLI { return d.clis[0] }

// CLIs returns every docker command line of the machine, the default one first.
func (d *Dockerd) CLIs() []*DockerCLI { return d.clis }

// Containerd returns the address of the containerd that the daemon has started.
func (d *Dockerd) Containerd() string {
	return filepath.Join(d.dir, "exec", "containerd", "containerd.sock")
}

// Docker runs the default command line, as DockerCLI.Run does.
func (d *Dockerd) Docker(t testing.TB, args ...string) string {
	t.Helper()
	return d.CLI().Run(t, args...)
}

// Log returns the last part of the daemon's log.
func (d *Dockerd) Log() string { return d.proc.output() }

// TrustCA makes the daemon trust a certificate authority (PEM) for the registry
// at hostport, through /etc/docker/certs.d as its users see it.
func (d *Dockerd) TrustCA(t testing.TB, hostport string, caPEM []byte) {
	t.Helper()
	dir := filepath.Join(d.etc, "certs.d", hostport)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), caPEM, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ImportImage makes a small image under the name ref, without any registry. Its
// first layer holds a shell; each map (path to content) becomes one more layer.
func (d *Dockerd) ImportImage(t testing.TB, ref string, layers ...map[string]string) {
	t.Helper()
	tars := [][]byte{busyboxLayer(t)}
	for _, files := range layers {
		tars = append(tars, fileLayer(t, files))
	}
	cmd := d.CLI().Command(t.Context(), "load")
	cmd.Stdin = bytes.NewReader(dockerArchive(t, ref, tars))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker load %s: %v\n%s", ref, err, out)
	}
}

// Command returns a docker command for the daemon, run in the daemon's network
// and with its /etc/docker. Paths among the arguments must be absolute.
func (c *DockerCLI) Command(ctx context.Context, args ...string) *exec.Cmd {
	pid := strconv.Itoa(c.daemon.proc.cmd.Process.Pid)
	enter := []string{"--target", pid, "--mount", "--net", "--root", "--", c.Path}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	cmd.Env = plainEnv(c.config, "DOCKER_CONFIG="+c.config, "DOCKER_HOST="+c.daemon.Host)
	return cmd
}

// Try runs docker and returns what it printed, on either stream.
func (c *DockerCLI) Try(ctx context.Context, args ...string) (string, error) {
	out, err := c.Command(ctx, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// Run is Try that fails the test on an error.
func (c *DockerCLI) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Try(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Login logs in to the registry at hostport; the password goes over stdin.
func (c *DockerCLI) Login(t testing.TB, hostport, user, password string) {
	t.Helper()
	cmd := c.Command(t.Context(), "login", "--username", user, "--password-stdin", hostport)
	cmd.Stdin = strings.NewReader(password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker login %s as %s: %v\n%s", hostport, user, err, out)
	}
}

func (d *Dockerd) stop(t testing.TB) {
	if err := d.proc.signalAndWait(syscall.SIGTERM, dockerdStop); err != nil {
		t.Errorf("stop dockerd: %v", err)
	}
	d.proc.dumpOnFailure(t)
}

// pingDocker asks the daemon's socket for GET /_ping.
func pingDocker(socket string) func() error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	return func() error {
		res, err := client.Get("http://docker/_ping")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("ping answered %s", res.Status)
		}
		return nil
	}
}

// findCLIs looks for docker command lines of different versions.
func findCLIs(t testing.TB, d *Dockerd, dir string) []*DockerCLI {
	t.Helper()
	var found []*DockerCLI
	for _, path := range []string{"/usr/bin/docker", "/usr/local/bin/docker", tool(t, "docker", "docker.io")} {
		out, err := exec.CommandContext(t.Context(), path, "--version").Output()
		if err != nil {
			continue
		}
		version := cliVersion(string(out))
		if slices.ContainsFunc(found, func(c *DockerCLI) bool { return c.Version == version }) {
			continue
		}
		config := filepath.Join(dir, "cli-"+version)
		if err := os.Mkdir(config, 0o700); err != nil {
			t.Fatal(err)
		}
		found = append(found, &DockerCLI{Path: path, Version: version, daemon: d, config: config})
	}
	if len(found) == 0 {
		t.Fatal("docker is there but does not run: apt-get install docker.io")
	}
	return found
}

// cliVersion reads "Docker version 20.10.24+dfsg1, build 297e128".
func cliVersion(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 3 {
		return "unknown"
	}
	version, _, _ := strings.Cut(strings.TrimSuffix(fields[2], ","), "+")
	return version
}
