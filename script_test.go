package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scenarios of testdata/script: the real program on a free
// port, over HTTP and with go-containerregistry. Its own commands are:
//
//	serve [FLAG...]                 start it; ! serve: it must refuse to start
//	signal TERM|KILL|HUP            TERM demands exit code 0
//	logged PATTERN                  wait for a line of its log, of this start
//	trust FILE                      trust another authority than its own
//	cert                            print the certificate that it shows
//	makecert NAME                   make NAME.crt and NAME.key for a host name
//	object FILE NAME=PATH...        make a JSON object of texts that are in files
//	http STATUS METHOD PATH [OPT]   one request; the body goes to stdout, the header to stderr
//	until STATUS METHOD PATH [OPT]  the same again until it has the status, some times at most
//	await PATTERN PATH [OPT]        GET until the body matches
//	set VAR json PATH|header NAME   read the last answer into a variable
//	digest VAR ALGORITHM TEXT       the digest of a text
//	token VAR [as=WHO] SCOPE...     ask the token service; what is granted goes to stdout
//	user NAME, project NAME, member PROJECT USER ROLE   made by admin over the API
//	push REF [OPT], pull REF [OPT]  a random image; push sets DIGEST
//	sql STATEMENT                   on the database, while nothing serves it
//	holds FOLDER TEXT               some file of the folder has the text
//
// An OPT is as=USER[:PASSWORD], bearer=TOKEN, json=TEXT, body=TEXT, file=PATH or
// header=NAME:VALUE; for push also seed=N, layers=N and size=BYTES.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Setup: setupScript, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: scriptCommands(map[string]scriptCommand{
			"serve": cmdServe, "signal": cmdSignal, "logged": cmdLogged, "trust": cmdTrust,
			"cert": cmdCert, "makecert": cmdMakeCert, "object": cmdObject, "sql": cmdSQL, "holds": cmdHolds,
		}),
	})
}

// script is what the commands of one script share.
type script struct {
	server    *instance // nil where the script does not start its own
	url, addr string    // of the registry: https://HOST:PORT and HOST:PORT
	client    *http.Client
	passwords map[string]string
	header    http.Header // of the last answer
	body      []byte
	tb        testing.TB // of the script, where helpers need it
}

type scriptCommand func(ts *testscript.TestScript, s *script, neg bool, args []string)

type scriptKey struct{}

// scriptCommands adds the commands that every tier has.
func scriptCommands(own map[string]scriptCommand) map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	for _, commands := range []map[string]scriptCommand{own, {
		"http": cmdHTTP, "until": cmdUntil, "await": cmdAwait, "set": cmdSet, "digest": cmdDigest, "token": cmdToken,
		"user": cmdUser, "project": cmdProject, "member": cmdMember, "push": cmdPush, "pull": cmdPull,
	}} {
		for name, command := range commands {
			all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
				command(ts, ts.Value(scriptKey{}).(*script), neg, args)
			}
		}
	}
	return all
}

func setupScript(env *testscript.Env) error {
	s := &script{passwords: map[string]string{}}
	env.Values[scriptKey{}] = s
	env.Defer(func() {
		if s.server != nil {
			_ = s.server.end(syscall.SIGKILL) // the script says what it expects of an end
		}
	})
	// Settings of the machine are out of sight.
	file := filepath.Join(env.WorkDir, "breakwater.yaml")
	env.Setenv("BREAKWATER_CONFIG", file)
	env.Setenv("DATA", filepath.Join(env.WorkDir, "data"))
	return os.WriteFile(file, nil, 0o600)
}

// refuse ends scripts that negate a command for which that means nothing.
func refuse(ts *testscript.TestScript, neg bool) {
	if neg {
		ts.Fatalf("this command cannot be negated")
	}
}

// need ends scripts that call a command with too few arguments.
func need(ts *testscript.TestScript, args []string, n int) {
	if len(args) < n {
		ts.Fatalf("the command needs %d arguments, see TestScripts", n)
	}
}

var shownPassword = regexp.MustCompile(`admin with (\S+)   \(shown this once\)`)

func cmdServe(ts *testscript.TestScript, s *script, neg bool, args []string) {
	env := plainEnv(ts.Getenv("WORK"))
	for len(args) > 0 && strings.HasPrefix(args[0], "BREAKWATER_") {
		env, args = append(env, args[0]), args[1:]
	}
	server, err := launch(ts.Getenv("WORK"), env, args...)
	if server != nil {
		ts.Check(ignoreCount(ts.Stdout().Write([]byte(server.out.String()))))
		ts.Check(ignoreCount(ts.Stderr().Write([]byte(server.log.String()))))
	}
	if neg {
		if err == nil {
			_ = server.end(syscall.SIGKILL)
			ts.Fatalf("breakwater serves, but should have refused to")
		}
		return
	}
	ts.Check(err)
	if match := shownPassword.FindStringSubmatch(server.out.String()); match != nil {
		s.passwords["admin"] = match[1]
	}
	s.server, s.url, s.addr = server, server.url, hostPort(server.url)
	s.client = newClient(server.addr, filepath.Join(server.data, "tls", "ca.crt"))
	ts.Setenv("URL", s.url)
	ts.Setenv("ADDR", s.addr)
	ts.Setenv("LISTEN", server.addr)
	ts.Setenv("PASSWORD", s.passwords["admin"])
}

func ignoreCount(_ int, err error) error { return err }

func hostPort(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

func cmdSignal(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	switch args[0] {
	case "TERM":
		s.client.CloseIdleConnections()
		ts.Check(s.server.end(syscall.SIGTERM))
	case "KILL":
		_ = s.server.end(syscall.SIGKILL)
	case "HUP":
		ts.Check(s.server.cmd.Process.Signal(syscall.SIGHUP))
	default:
		ts.Fatalf("no such signal: %s", args[0])
	}
}

func cmdLogged(ts *testscript.TestScript, s *script, neg bool, args []string) {
	need(ts, args, 1)
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	if neg {
		if line := pattern.FindString(s.server.log.String()); line != "" {
			ts.Fatalf("the log has %q", line)
		}
		return
	}
	_, err = s.server.await(s.server.log, pattern)
	ts.Check(err)
}

func cmdTrust(ts *testscript.TestScript, s *script, neg bool, args []string) {
	refuse(ts, neg)
	need(ts, args, 1)
	s.client.CloseIdleConnections()
	s.client = newClient(s.server.addr, ts.MkAbs(args[0]))
}
