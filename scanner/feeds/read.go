package feeds

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/rhel/vex"
)

// The names of the parts that are read in a way of their own.
const (
	vexPart    = "rhel-vex"
	debianPart = "debian/updater"
	epssPart   = "clair.epss"
)

// vulnerabilities reads a part. Claircore parses whole files into memory; the
// two that are large and can be cut are read piece by piece.
func vulnerabilities(ctx context.Context, u driver.Updater, content io.ReadCloser) datastore.VulnerabilityIter {
	switch u.Name() {
	case vexPart:
		return func(yield func(*claircore.Vulnerability, error) bool) {
			eachVEX(ctx, content, func(_ string, rows []*claircore.Vulnerability, err error) bool { return yieldAll(yield, rows, err) })
		}
	case debianPart:
		return func(yield func(*claircore.Vulnerability, error) bool) {
			eachDebian(ctx, u, content, func(rows []*claircore.Vulnerability, err error) bool { return yieldAll(yield, rows, err) })
		}
	}
	return func(yield func(*claircore.Vulnerability, error) bool) {
		rows, err := u.Parse(ctx, content)
		yieldAll(yield, rows, err)
	}
}

func yieldAll[T any](yield func(T, error) bool, rows []T, err error) bool {
	if err != nil {
		var none T
		yield(none, err)
		return false
	}
	for i, row := range rows {
		var none T
		if !yield(row, nil) {
			return false
		}
		rows[i] = none // no longer needed
	}
	return true
}

// maxVEX bounds one CSAF document; the largest have some 30 MB.
const maxVEX = 256 << 20

// eachVEX parses what claircore's Fetch left: a line for each CSAF document.
// do gets the document's id and rows; a document without rows has none any more.
func eachVEX(ctx context.Context, content io.Reader, do func(id string, rows []*claircore.Vulnerability, err error) bool) {
	parser := vex.NewParser()
	lines := bufio.NewReaderSize(snappy.NewReader(content), 1<<20)
	for {
		document, err := readLine(lines, maxVEX)
		if errors.Is(err, io.EOF) {
			return
		}
		var rows []*claircore.Vulnerability
		if err == nil {
			rows, err = parser.Parse(ctx, document)
		}
		if err == nil {
			err = ctx.Err()
		}
		id := ""
		if err == nil {
			id, err = vexID(document, rows)
		}
		if err != nil {
			do("", nil, fmt.Errorf("a VEX document cannot be read: %w", err))
			return
		}
		if !do(id, rows, nil) {
			return
		}
	}
}

func vexID(document []byte, rows []*claircore.Vulnerability) (string, error) {
	if len(rows) > 0 {
		return rows[0].Name, nil
	}
	var head struct {
		Document struct {
			Tracking struct {
				ID string `json:"id"`
			} `json:"tracking"`
		} `json:"document"`
	}
	err := json.Unmarshal(document, &head)
	return head.Document.Tracking.ID, err
}

// readLine returns the next line without its end, io.EOF after the last.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > limit:
			return nil, fmt.Errorf("a line has more than %d bytes", limit)
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil || (errors.Is(err, io.EOF) && len(line) > 0):
			return bytes.TrimSuffix(line, []byte("\n")), nil
		default:
			return nil, err
		}
	}
}

// debianPiece is how much of Debian's file is parsed at once, in bytes.
const debianPiece = 4 << 20

// eachDebian parses the tracker's file, an object with a member for each source
// package, in pieces of some packages.
func eachDebian(ctx context.Context, u driver.Updater, content io.Reader, do func([]*claircore.Vulnerability, error) bool) {
	dec := json.NewDecoder(bufio.NewReaderSize(content, 1<<20))
	piece := []byte("{")
	flush := func() bool {
		rows, err := u.Parse(ctx, io.NopCloser(bytes.NewReader(append(piece, '}'))))
		piece = append(piece[:0], '{')
		return do(rows, err)
	}
	fail := func(err error) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		do(nil, fmt.Errorf("unable to parse JSON vulnerability feed: %w", err))
	}
	if err := expect(dec, '{'); err != nil {
		fail(err)
		return
	}
	for dec.More() {
		var err error
		if piece, err = appendMember(piece, dec); err != nil {
			fail(err)
			return
		}
		if len(piece) > debianPiece && !flush() {
			return
		}
	}
	if err := expect(dec, '}'); err != nil {
		fail(err)
		return
	}
	flush()
}

// appendMember adds the decoder's next member to the object that piece begins.
func appendMember(piece []byte, dec *json.Decoder) ([]byte, error) {
	key, err := dec.Token()
	if err != nil {
		return piece, err
	}
	name, err := json.Marshal(key)
	if err != nil {
		return piece, err
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return piece, err
	}
	if len(piece) > 1 {
		piece = append(piece, ',')
	}
	return append(append(append(piece, name...), ':'), value...), nil
}

// enrichments reads a part that adds to findings. The files of two of them are
// streams of records already.
func enrichments(ctx context.Context, u driver.EnrichmentUpdater, content io.ReadCloser) datastore.EnrichmentIter {
	_, own := u.(*nvd)
	if own || u.Name() == epssPart {
		return func(yield func(*driver.EnrichmentRecord, error) bool) { eachRecord(ctx, content, yield) }
	}
	return func(yield func(*driver.EnrichmentRecord, error) bool) {
		records, err := u.ParseEnrichment(ctx, content)
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range records {
			if len(records[i].Tags) > 0 && !yield(&records[i], nil) {
				return
			}
		}
	}
}

func eachRecord(ctx context.Context, content io.Reader, yield func(*driver.EnrichmentRecord, error) bool) {
	dec := json.NewDecoder(bufio.NewReaderSize(content, 1<<20))
	for {
		var record driver.EnrichmentRecord
		err := dec.Decode(&record)
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = ctx.Err()
		}
		if !yield(&record, err) || err != nil {
			return
		}
	}
}

// wholeVEX says whether claircore's Fetch of the VEX part, which knew the data
// of the fingerprint before, read the whole archive: else what it found are
// changes only. A fingerprint ends with the version of the updater, and begins
// with an entity tag.
func wholeVEX(before, after driver.Fingerprint) bool {
	version := func(f driver.Fingerprint) string { return string(f[strings.LastIndexByte(string(f), '\\')+1:]) }
	return before == "" || strings.HasPrefix(string(before), `\`) || version(before) != version(after)
}
