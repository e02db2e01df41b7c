package dbfile_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

func spec(path string) dbfile.Spec {
	return dbfile.Spec{Path: path, ID: 42, Version: 2, Schema: `CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1)`, CacheKiB: 512, Readers: 2,
		Log: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, s dbfile.Spec) *dbfile.File {
	t.Helper()
	f, err := dbfile.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func closeFile(t *testing.T, f *dbfile.File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// sum reads the table.
func sum(t *testing.T, f *dbfile.File) (n int) {
	t.Helper()
	if err := f.Read(t.Context(), func(c *dbfile.Conn) error { return c.Get(`SELECT SUM(n) FROM t`, nil, &n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func add(t *testing.T, f *dbfile.File) {
	t.Helper()
	if err := f.Write(t.Context(), func(c *dbfile.Conn) error { _, err := c.Exec(`INSERT INTO t VALUES (10)`); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "a.db")
	f := open(t, spec(path))
	add(t, f)
	if err := f.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeFile(t, f)
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("a closed file has a write-ahead log beside it")
	}
	f = open(t, spec(path))
	defer closeFile(t, f)
	if n := sum(t, f); n != 11 {
		t.Errorf("the sum is %d", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOtherVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	f := open(t, spec(path))
	add(t, f)
	closeFile(t, f)
	older := spec(path)
	older.Version = 1
	_, err := dbfile.Open(t.Context(), older)
	if core.ErrorCode(err) != core.CodePrecondition || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("a file of a newer release: %v", err)
	}
	newer := spec(path)
	newer.Version = 3
	f = open(t, newer)
	defer closeFile(t, f)
	if n := sum(t, f); n != 1 {
		t.Errorf("a file of an older release was not built anew: %d", n)
	}
}

// A file that is no database, one of something else, and one with a torn page
// are moved aside, and a new one takes their place.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"no database": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"another database": func(t *testing.T, path string) {
			other := spec(path)
			other.ID = 43
			closeFile(t, open(t, other))
		},
		"torn page": func(t *testing.T, path string) {
			closeFile(t, open(t, spec(path)))
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteAt(make([]byte, 2000), 100); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			damage(t, path)
			f := open(t, spec(path))
			defer closeFile(t, f)
			if n := sum(t, f); n != 1 {
				t.Errorf("the new file has the sum %d", n)
			}
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A reader sees one moment, and a failed write leaves nothing.
func TestTransactions(t *testing.T) {
	f := open(t, spec(filepath.Join(t.TempDir(), "a.db")))
	defer closeFile(t, f)
	err := f.Read(t.Context(), func(c *dbfile.Conn) error {
		var before, after int
		if err := c.Get(`SELECT SUM(n) FROM t`, nil, &before); err != nil {
			return err
		}
		add(t, f)
		if err := c.Get(`SELECT SUM(n) FROM t`, nil, &after); err != nil || before != after {
			t.Errorf("within one read, %d became %d: %v", before, after, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), func(c *dbfile.Conn) error {
		if _, err := c.Exec(`DELETE FROM t`); err != nil {
			return err
		}
		return os.ErrInvalid
	}); err == nil {
		t.Error("the error of a write was lost")
	}
	if n := sum(t, f); n != 11 {
		t.Errorf("after a failed write, the sum is %d", n)
	}
}
