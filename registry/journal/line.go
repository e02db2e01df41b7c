package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxLine bounds one line with its newline, in bytes. The longest names
	// that a registry accepts need less than 2 KiB.
	maxLine = 64 << 10

	crcPrefix = `{"crc":"`
	crcSuffix = `",`
	crcDigits = 8
	// restOffset is where the bytes begin that the checksum covers.
	restOffset = len(crcPrefix) + crcDigits + len(crcSuffix)
)

var errFrame = errors.New("not a line of the journal")

// record is the content of a line beside the checksum.
type record struct {
	Batch uint64            `json:"batch"`
	Entry core.JournalEntry `json:"entry"`
}

// line is a line whose checksum is right. Its entry is still JSON: looking for
// the end of a file needs no more than the numbers.
type line struct {
	batch, seq uint64
	entry      []byte
}

func checksum(rest []byte) string {
	sum := crc32.Checksum(rest, crc32.MakeTable(crc32.Castagnoli))
	return hex.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// appendLine adds the line of r, with its newline, to buf.
func appendLine(buf []byte, r record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return buf, fmt.Errorf("journal: %w", err)
	}
	rest := body[1:]
	if restOffset+len(rest)+1 > maxLine {
		return buf, core.Errorf(core.CodeBadRequest, "the names in this request are too long to be recorded: use shorter ones")
	}
	buf = append(buf, crcPrefix+checksum(rest)+crcSuffix...)
	return append(append(buf, rest...), '\n'), nil
}

// parseLine verifies frame and checksum of a line without its newline. The
// result refers to raw.
func parseLine(raw []byte) (line, error) {
	if len(raw) <= restOffset || len(raw) >= maxLine {
		return line{}, errFrame
	}
	rest := raw[restOffset:]
	if string(raw[:restOffset]) != crcPrefix+checksum(rest)+crcSuffix {
		return line{}, errors.New("wrong checksum")
	}
	var l line
	var ok bool
	if l.batch, rest, ok = cutNumber(rest, `"batch":`, `,"entry":`); !ok {
		return line{}, errFrame
	}
	if l.entry, ok = bytes.CutSuffix(rest, []byte("}")); !ok {
		return line{}, errFrame
	}
	if l.seq, _, ok = cutNumber(l.entry, `{"seq":`, `,`); !ok || l.batch == 0 || l.batch > l.seq {
		return line{}, errFrame
	}
	return l, nil
}

// cutNumber takes prefix, digits and suffix off the beginning of p.
func cutNumber(p []byte, prefix, suffix string) (n uint64, rest []byte, ok bool) {
	p, ok = bytes.CutPrefix(p, []byte(prefix))
	if !ok {
		return 0, nil, false
	}
	digits, rest, ok := bytes.Cut(p, []byte(suffix))
	if !ok {
		return 0, nil, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	return n, rest, err == nil
}

// decode returns the entry of a line.
func (l line) decode() (core.JournalEntry, error) {
	var e core.JournalEntry
	err := json.Unmarshal(l.entry, &e)
	if err == nil && e.Seq != l.seq {
		err = errFrame
	}
	if err != nil {
		return core.JournalEntry{}, fmt.Errorf("journal entry %d: %w", l.seq, err)
	}
	return e, nil
}
