package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// The names of the registry: the certificate is for the first only.
const (
	registryName  = "registry.example.com"
	untrustedName = "untrusted.example.com" // docker has no CA for it
	otherName     = "other.example.com"     // docker has the CA, the certificate not the name
)

// world is one registry and one docker daemon in a network namespace, where
// neither is on a loopback address.
type world struct {
	srv    *testenv.Server
	docker *testenv.Dockerd
	port   string
	// notaryPort is the port that serves content trust alone.
	notaryPort string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := testenv.NewNetns(t)
	w := &world{notaryPort: "4443"} // as Harbor had it; the namespace is the test's own
	w.srv = testenv.StartServer(t, testenv.ServerOptions{Netns: ns, Hostname: registryName, Args: []string{"--notary-listen", net.JoinHostPort(ns.Addr.String(), w.notaryPort)}})
	w.docker = testenv.StartDockerd(t, testenv.DockerdOptions{Netns: ns})
	_, port, err := net.SplitHostPort(w.srv.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w.port = port
	w.docker.TrustCA(t, w.srv.Addr, w.srv.CA)
	w.docker.TrustCA(t, net.JoinHostPort(otherName, port), w.srv.CA)
	hosts := filepath.Join(t.TempDir(), "hosts")
	text := fmt.Sprintf("127.0.0.1 localhost\n%s %s %s %s\n", ns.Addr, registryName, untrustedName, otherName)
	if err := os.WriteFile(hosts, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	mount := w.beside(t.Context(), w.docker.CLI(), "mount", "--bind", hosts, "/etc/hosts")
	if out, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("name the registry: %v\n%s", err, out)
	}
	w.awaitName(t)
	return w
}

// awaitName waits until the daemon knows the registry's name: it looks at
// /etc/hosts every few seconds only.
func (w *world) awaitName(t *testing.T) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := w.docker.CLI().Try(t.Context(), "pull", w.srv.Addr+"/no/such:image")
		if err != nil && !strings.Contains(err.Error(), "lookup "+registryName) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the daemon does not find the registry: %v", err)
		}
	}
}

// beside returns a command that runs where the daemon runs: with its network,
// its /etc/docker and its /etc/hosts. Paths among args must be absolute.
func (w *world) beside(ctx context.Context, cli *testenv.DockerCLI, args ...string) *exec.Cmd {
	cmd := cli.Command(ctx)
	last := len(cmd.Args) - 1 // the command line's own path
	cmd.Args = append(cmd.Args[:last:last], args...)
	return cmd
}

// TestDocker runs the scenarios of testdata/docker: those of docker with every
// docker command line of the machine, and those of skopeo and crane. Beside the
// commands of TestScripts that reach a registry they have:
//
//	docker|skopeo|crane ARG...      run it; its login is the script's own
//	cosign ARG...                   the same; the password of its keys is COSIGN_PASSWORD
//	trustkey PROJECT NAME FILE      have the project trust the public key in the file
//	login WHO                       docker login, the password over standard input
//	image REF TEXT...               make an image; each text is one layer's content
//	apk REF NAME=VERSION...         make an image of Alpine with these packages
//	save REF FILE                   docker save
//	ctr ARG...                      run containerd's command line; --user=WHO adds the password
//
// $ADDR is the registry and $P a prefix for the names of users and projects.
func TestDocker(t *testing.T) {
	testenv.RequireE2E(t)
	t.Parallel()
	w := newWorld(t)
	for _, cli := range w.docker.CLIs() {
		major, _, _ := strings.Cut(cli.Version, ".")
		t.Run("docker "+major, func(t *testing.T) { w.run(t, cli, "testdata/docker/cli", "d"+major) })
	}
	t.Run("tools", func(t *testing.T) { w.run(t, w.docker.CLI(), "testdata/docker/tools", "t") })
}

func (w *world) run(t *testing.T, cli *testenv.DockerCLI, dir, prefix string) {
	crane, skopeo, cosign := testenv.Crane(t), testenv.Skopeo(t), testenv.Cosign(t)
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error { return w.setup(env, prefix) },
		Cmds: scriptCommands(map[string]scriptCommand{
			"docker":   w.command(cli, cli.Path, "--config", "$WORK/login"),
			"skopeo":   w.command(cli, skopeo, "--insecure-policy"),
			"crane":    w.command(cli, crane),
			"cosign":   w.command(cli, cosign),
			"trustkey": cmdTrustKey,
			"login":    w.login(cli),
			"image":    w.image,
			"apk":      w.apk,
			"save":     w.save,
			"ctr":      w.ctr,
		}),
	})
}

func (w *world) setup(env *testscript.Env, prefix string) error {
	tb, ok := env.T().(testing.TB)
	if !ok {
		return fmt.Errorf("testscript gave no testing.TB, but %T", env.T())
	}
	env.Values[scriptKey{}] = &script{url: w.srv.URL, addr: w.srv.Addr, client: w.srv.Client,
		passwords: map[string]string{w.srv.AdminUser: w.srv.AdminPassword}, tb: tb}
	script := strings.TrimSuffix(filepath.Base(tb.Name()), ".txtar")
	env.Setenv("P", prefix+"-"+script)
	env.Setenv("ADDR", w.srv.Addr)
	env.Setenv("PASSWORD", w.srv.AdminPassword)
	env.Setenv("UNTRUSTED", net.JoinHostPort(untrustedName, w.port))
	env.Setenv("OTHER", net.JoinHostPort(otherName, w.port))
	env.Setenv("CADIR", w.srv.CADir)
	return os.Mkdir(filepath.Join(env.WorkDir, "login"), 0o700)
}

// command runs a program beside the daemon with the script's own logins.
func (w *world) command(cli *testenv.DockerCLI, program string, first ...string) scriptCommand {
	return func(ts *testscript.TestScript, _ *script, neg bool, args []string) {
		work := ts.Getenv("WORK")
		full := append([]string{program}, first...)
		for i, arg := range full {
			full[i] = strings.ReplaceAll(arg, "$WORK", work)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		cmd := w.beside(ctx, cli, append(full, args...)...)
		finish(ts, neg, w.withLogins(cmd, work), nil)
	}
}

// withLogins has every tool keep its logins in the script's folder and trust the
// registry's authority.
func (w *world) withLogins(cmd *exec.Cmd, work string) *exec.Cmd {
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "DOCKER_CONFIG=") || strings.HasPrefix(v, "HOME=") })
	cmd.Env = append(cmd.Env, "HOME="+work, "DOCKER_CONFIG="+filepath.Join(work, "login"), "REGISTRY_AUTH_FILE="+filepath.Join(work, "login", "skopeo.json"),
		"SSL_CERT_FILE="+filepath.Join(w.srv.CADir, "ca.crt"), "COSIGN_PASSWORD=Password-of-the-key")
	return cmd
}

// cmdTrustKey leaves the path of the trust anchor in $ANCHOR.
func cmdTrustKey(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 3)
	s.asAdmin(ts, "201", http.MethodPost, "/api/v2.0/projects/"+args[0]+"/trust/anchors",
		map[string]string{"type": "cosign-key", "name": args[1], "content": ts.ReadFile(args[2])})
	ts.Setenv("ANCHOR", s.header.Get("Location"))
}

// finish runs the command and demands success, or failure with neg.
func finish(ts *testscript.TestScript, neg bool, cmd *exec.Cmd, stdin io.Reader) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, ts.Stdout(), ts.Stderr()
	switch err := cmd.Run(); {
	case err != nil && !neg:
		ts.Fatalf("%s failed: %v", filepath.Base(cmd.Args[len(cmd.Args)-1]), err)
	case err == nil && neg:
		ts.Fatalf("the command succeeded, but should have failed")
	}
}

func (w *world) login(cli *testenv.DockerCLI) scriptCommand {
	return func(ts *testscript.TestScript, s *script, neg bool, args []string) {
		need(ts, args, 1)
		user, password := s.account(ts, args[0])
		work := ts.Getenv("WORK")
		cmd := w.beside(context.Background(), cli, cli.Path, "--config", filepath.Join(work, "login"),
			"login", "--username", user, "--password-stdin", w.srv.Addr)
		finish(ts, neg, w.withLogins(cmd, work), strings.NewReader(password))
	}
}

func (w *world) image(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 2)
	var layers []map[string]string
	for i, text := range args[1:] {
		layers = append(layers, map[string]string{fmt.Sprintf("layer%d", i+1): text + "\n"})
	}
	w.docker.ImportImage(s.tb, args[0], layers...)
}
