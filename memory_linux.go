package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram takes those pages of the program's own file out of the process's
// memory that have only been read, which are most of what a start touches: what
// is needed again comes back from the page cache at a touch. It is a help to
// those who look at the figures, so it leaves alone whatever is not certain.
func releaseProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close() //nolint:errcheck // it was only read
	for _, m := range readOnlyMappings(maps, program) {
		// A page that cannot be released stays: nothing depends on it.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// readOnlyMappings finds, in the form of proc_pid_smaps(5), where file is mapped
// without the right to write and without a page that differs from the file, as
// a position-independent program has after its relocation.
func readOnlyMappings(smaps io.Reader, file string) (found []mapping) {
	var current mapping
	candidate := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 5 && strings.Contains(fields[0], "-") {
			candidate = len(fields) == 6 && fields[5] == file && strings.HasPrefix(fields[1], "r") && fields[1][1] == '-' && fields[1][3] == 'p'
			if n, err := fmt.Sscanf(fields[0], "%x-%x", &current.start, &current.end); err != nil || n != 2 {
				candidate = false
			}
		}
		if candidate && len(fields) == 3 && fields[0] == "Anonymous:" {
			if fields[1] == "0" {
				found = append(found, current)
			}
			candidate = false
		}
	}
	return found
}
