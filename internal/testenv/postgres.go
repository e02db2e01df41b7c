package testenv

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// postgresStart bounds how long the server may take to answer.
const postgresStart = 2 * time.Minute

// postgresScript runs the server until the test process closes standard input,
// which the kernel does for it however it ends, and then removes the files.
const postgresScript = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= \
	-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB &
read -r _
kill -INT $!
wait $!
rm -rf "$2"`

// errNoPostgres means that Debian's server package is not installed.
var errNoPostgres = errors.New("no PostgreSQL server found")

// postgresServer is the one server of a test process, on a unix socket in dir.
type postgresServer struct {
	bin, dir  string
	databases atomic.Int64
	stdin     *os.File // closing it stops the server
}

// sharedPostgres starts the server at the first call.
var sharedPostgres = sync.OnceValues(startPostgres)

// Postgres returns the URL of a new, empty database (UTF-8, locale C) on a real
// PostgreSQL server from Debian's package. The database goes with the test. The
// server keeps nothing safe on disk: it is for tests of SQL, not of durability.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	server, err := sharedPostgres()
	if errors.Is(err, errNoPostgres) {
		lacking(t, "PostgreSQL", "apt-get install postgresql")
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	name := fmt.Sprintf("test_%d", server.databases.Add(1))
	if err := server.run("createdb", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.run("dropdb", "--force", name); err != nil {
			t.Error(err)
		}
	})
	query := url.Values{"host": {server.dir}, "user": {"postgres"}}
	return "postgres:///" + name + "?" + query.Encode()
}

func startPostgres() (*postgresServer, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	owner, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bw-pg-")
	if err != nil {
		return nil, err
	}
	s := &postgresServer{bin: bin, dir: dir}
	if err := s.start(owner); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// start makes the database cluster and runs the server over it as owner.
func (s *postgresServer) start(owner *syscall.SysProcAttr) error {
	if c := owner.Credential; c != nil {
		if err := os.Chown(s.dir, int(c.Uid), int(c.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", filepath.Join(s.dir, "data"),
		"--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync", "--no-instructions")
	initdb.SysProcAttr, initdb.Env, initdb.Dir = owner, plainEnv(s.dir), s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	log, err := s.launch(owner)
	if err != nil {
		return err
	}
	return s.waitReady(log)
}

// launch starts the script that owns the server and returns the log's path.
func (s *postgresServer) launch(owner *syscall.SysProcAttr) (string, error) {
	logPath := filepath.Join(s.dir, "log")
	log, err := os.Create(logPath)
	if err != nil {
		return "", err
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	cmd := exec.Command("sh", "-c", postgresScript, "sh", s.bin, s.dir)
	attr := *owner
	attr.Setpgid = true // an interrupt at the terminal must not end the script before it has cleaned up
	cmd.SysProcAttr, cmd.Env, cmd.Dir = &attr, plainEnv(s.dir), s.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, log, log
	s.stdin = write
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	go func() { _ = cmd.Wait() }() // takes the exit code of a server that ends before the test process does
	return logPath, nil
}

func (s *postgresServer) waitReady(logPath string) error {
	deadline := time.Now().Add(postgresStart)
	for {
		err := s.run("psql", "--command", "select 1", "postgres")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(logPath)
			return fmt.Errorf("not ready after %s: %w\n%s", postgresStart, err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// run runs one of PostgreSQL's client programs against the server.
func (s *postgresServer) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), append([]string{"--host", s.dir, "--username", "postgres"}, args...)...)
	cmd.Env = plainEnv(s.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// postgresBin finds the newest server of Debian's packages.
func postgresBin() (string, error) {
	servers, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(servers) == 0 {
		return "", errNoPostgres
	}
	newest := slices.MaxFunc(servers, func(a, b string) int { return postgresMajor(a) - postgresMajor(b) })
	return filepath.Dir(newest), nil
}

// postgresMajor reads the version out of /usr/lib/postgresql/15/bin/postgres.
func postgresMajor(path string) int {
	major, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return major
}

// postgresUser says as whom the server runs: it refuses to run as root, so root
// takes the user that Debian's package makes.
func postgresUser() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPostgres, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}
