package scanner_test

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the format of rpm's database
)

// must fails the test on an error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dpkg is a system of the dpkg family with packages given as
// NAME VERSION [SOURCE [SOURCE-VERSION]].
func dpkg(t testing.TB, osRelease string, packages ...string) []byte {
	t.Helper()
	var status strings.Builder
	for _, p := range packages {
		f := strings.Fields(p)
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n", f[0], f[1])
		switch len(f) {
		case 3:
			fmt.Fprintf(&status, "Source: %s\n", f[2])
		case 4:
			fmt.Fprintf(&status, "Source: %s (%s)\n", f[2], f[3])
		}
		fmt.Fprintf(&status, "Description: a package\n\n")
	}
	return layer(t, file{"etc/os-release", osRelease}, file{"var/lib/dpkg/status", status.String()}, file{"var/lib/dpkg/info/x.list", "/.\n"})
}

// rpms is a system of the rpm family with packages given as
// NAME EPOCH VERSION RELEASE ARCH, in rpm's SQLite database.
func rpms(t testing.TB, files []file, packages ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db, err := sql.Open("sqlite", name)
	must(t, err)
	_, err = db.Exec(`CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)`)
	must(t, err)
	for _, p := range packages {
		_, err := db.Exec(`INSERT INTO Packages (blob) VALUES (?)`, rpmHeader(strings.Fields(p)))
		must(t, err)
	}
	must(t, db.Close())
	content, err := os.ReadFile(name)
	must(t, err)
	return layer(t, append(files, file{"var/lib/rpm/rpmdb.sqlite", string(content)})...)
}

// rpmHeader is a package as rpm stores it: an index of tags, then their data.
// The numbers are those of rpmtag.h and rpmtd's types.
func rpmHeader(p []string) []byte {
	const (
		typeInt32, typeString                        = 4, 6
		name, version, release, epoch, arch, fromSRC = 1000, 1001, 1002, 1003, 1022, 1044
	)
	var index, data bytes.Buffer
	count := uint32(0)
	entry := func(tag, kind uint32, content []byte) {
		for _, n := range []uint32{tag, kind, uint32(data.Len()), 1} {
			_ = binary.Write(&index, binary.BigEndian, n)
		}
		data.Write(content)
		count++
	}
	var number uint32
	_, _ = fmt.Sscan(p[1], &number)
	entry(epoch, typeInt32, binary.BigEndian.AppendUint32(nil, number)) // first, because it is aligned
	for _, f := range []struct {
		tag  uint32
		text string
	}{{name, p[0]}, {version, p[2]}, {release, p[3]}, {arch, p[4]}, {fromSRC, p[0] + "-" + p[2] + "-" + p[3] + ".src.rpm"}} {
		entry(f.tag, typeString, append([]byte(f.text), 0))
	}
	head := binary.BigEndian.AppendUint32(nil, count)
	head = binary.BigEndian.AppendUint32(head, uint32(data.Len()))
	return append(append(head, index.Bytes()...), data.Bytes()...)
}
