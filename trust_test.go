package main

import (
	"context"
	"encoding/base64"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// TestDockerTrust runs the scenarios of testdata/docker/trust with every docker
// command line of the machine that knows content trust, against a registry on an
// address that is not loopback, for which docker checks certificates. They have
// the commands of TestDocker; docker takes DOCKER_CONTENT_TRUST from the script,
// and agree is docker with a yes to what it asks. notary is Notary's own command
// line, in the name of the account that as has chosen, against NOTARY_SERVER or
// else the registry. $NOTARY_ALONE is the port that serves content trust alone.
func TestDockerTrust(t *testing.T) {
	testenv.RequireE2E(t)
	t.Parallel()
	w := newWorld(t)
	for _, cli := range w.docker.CLIs() {
		major, _, _ := strings.Cut(cli.Version, ".")
		t.Run("docker "+major, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: "testdata/docker/trust", RequireExplicitExec: true, RequireUniqueNames: true,
				Setup: func(env *testscript.Env) error {
					env.Setenv("NOTARY_ALONE", "https://"+net.JoinHostPort(registryName, w.notaryPort))
					env.Setenv("CACONFIG", filepath.Join(env.WorkDir, "login", "tls", w.srv.Addr))
					return w.setup(env, "t"+major)
				},
				// docker 28 asks nobody when it is forced, and then removes nobody.
				Condition: func(condition string) (bool, error) { return condition == "docker-20" && major == "20", nil },
				Cmds: scriptCommands(map[string]scriptCommand{
					"docker": w.trusting(cli, ""), "agree": w.trusting(cli, "y\n"), "login": w.login(cli), "image": w.image,
					"notary": w.notary(cli), "as": as,
				}),
			})
		})
	}
}

// trusting runs docker without any other trusted authority than those in its
// configuration, and with the script's wish for content trust.
func (w *world) trusting(cli *testenv.DockerCLI, answer string) scriptCommand {
	return func(ts *testscript.TestScript, _ *script, neg bool, args []string) {
		work := ts.Getenv("WORK")
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		cmd := w.withLogins(w.beside(ctx, cli, append([]string{cli.Path, "--config", filepath.Join(work, "login")}, args...)...), work)
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "SSL_CERT_FILE=") })
		for _, name := range []string{"DOCKER_CONTENT_TRUST", "DOCKER_CONTENT_TRUST_SERVER"} {
			if value := ts.Getenv(name); value != "" {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
		cmd.Env = append(cmd.Env, "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=root-passphrase", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=passphrase")
		finish(ts, neg, cmd, strings.NewReader(answer))
	}
}

// as chooses who runs notary.
func as(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	user, password := s.account(ts, args[0])
	ts.Setenv("NOTARY_AUTH", base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func (w *world) notary(cli *testenv.DockerCLI) scriptCommand {
	return func(ts *testscript.TestScript, _ *script, neg bool, args []string) {
		work := ts.Getenv("WORK")
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		server := "https://" + w.srv.Addr
		if ts.Getenv("NOTARY_SERVER") != "" {
			server = ts.Getenv("NOTARY_SERVER")
		}
		full := append([]string{"notary", "--server", server, "--trustDir", filepath.Join(work, "trust"),
			"--tlscacert", filepath.Join(work, "ca.crt")}, args...)
		for i, arg := range full {
			if i > 0 && (strings.HasSuffix(arg, ".txt") || strings.HasSuffix(arg, ".pem")) && !filepath.IsAbs(arg) {
				full[i] = filepath.Join(work, arg)
			}
		}
		cmd := w.withLogins(w.beside(ctx, cli, full...), work)
		cmd.Env = append(cmd.Env, "NOTARY_AUTH="+ts.Getenv("NOTARY_AUTH"))
		for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"} {
			cmd.Env = append(cmd.Env, "NOTARY_"+role+"_PASSPHRASE=passphrase")
		}
		finish(ts, neg, cmd, strings.NewReader("yes\n"))
	}
}
