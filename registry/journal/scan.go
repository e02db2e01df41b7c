package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const extension = ".jsonl"

// CorruptError says that a file of the journal is damaged where no crash can
// have done it.
type CorruptError struct {
	File string // path
	Line int    // counted from 1; 0 for the file as a whole
	Err  error
}

// Error names file and line.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("the journal is damaged in %s, line %d (%v): restore this file from a backup", e.File, e.Line, e.Err)
}

// Unwrap returns what is wrong with the line.
func (e *CorruptError) Unwrap() error { return e.Err }

func fileName(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%06d%s", number, extension))
}

// countFiles returns how many journal files dir holds. Their numbers must go
// from 1 to the count. An absent folder holds none.
func countFiles(dir string) (int, error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("journal: %w", err)
	}
	var numbers []int
	for _, entry := range list {
		digits, ok := strings.CutSuffix(entry.Name(), extension)
		n, err := strconv.Atoi(digits)
		if ok && err == nil && fileName(dir, n) == filepath.Join(dir, entry.Name()) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != i+1 {
			return 0, &CorruptError{File: fileName(dir, i+1), Err: errors.New("the file is missing")}
		}
	}
	return len(numbers), nil
}

// readLines calls visit with each line, without its newline, and its number.
// A line that is too long or has no newline comes as nil.
func readLines(r io.Reader, visit func(raw []byte, number int) error) error {
	b := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		raw, err := b.ReadSlice('\n')
		if err == io.EOF && len(raw) == 0 {
			return nil
		}
		whole := err == nil
		for err == bufio.ErrBufferFull {
			_, err = b.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		if whole {
			raw = raw[:len(raw)-1]
		} else {
			raw = nil
		}
		if err := visit(raw, number); err != nil {
			return err
		}
	}
}

// scan goes through one file and keeps where its good part ends.
type scan struct {
	name   string
	newest bool   // a crash may have torn the end of this file
	last   uint64 // number of the last good entry; at first, of the file before
	size   int64  // bytes of the good part
	torn   int    // first broken line, 0 when there is none
	cause  error  // what is wrong with it
}

// run calls visit for each good line.
func (s *scan) run(visit func(line) error) error {
	f, err := os.Open(s.name)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	return readLines(f, func(raw []byte, number int) error {
		l, err := parseLine(raw)
		if err == nil && s.torn == 0 {
			return s.accept(l, len(raw)+1, number, visit)
		}
		return s.reject(l, number, err)
	})
}

func (s *scan) accept(l line, size, number int, visit func(line) error) error {
	if l.seq != s.last+1 {
		return s.corrupt(number, fmt.Errorf("entry %d follows entry %d", l.seq, s.last))
	}
	if err := visit(l); err != nil {
		return err
	}
	s.last = l.seq
	s.size += int64(size)
	return nil
}

// reject handles a broken line, and a good one (err is nil) after a broken one.
// That is the end of an unfinished batch, unless a later batch follows.
func (s *scan) reject(l line, number int, err error) error {
	if s.torn == 0 {
		s.torn, s.cause = number, err
	}
	if !s.newest || err == nil && l.batch > s.last+1 {
		return s.corrupt(s.torn, s.cause)
	}
	return nil
}

func (s *scan) corrupt(number int, err error) error {
	return &CorruptError{File: s.name, Line: number, Err: err}
}

// lastEntry returns the number of the last entry in a file that is not the
// newest, reading only its end.
func lastEntry(name string) (uint64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	end := make([]byte, min(info.Size(), maxLine))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil && err != io.EOF {
		return 0, fmt.Errorf("journal: %w", err)
	}
	end, whole := bytes.CutSuffix(end, []byte("\n"))
	l, err := parseLine(end[bytes.LastIndexByte(end, '\n')+1:])
	if err != nil || !whole {
		return 0, fmt.Errorf("the last line of %s is damaged: restore this file from a backup", name)
	}
	return l.seq, nil
}
