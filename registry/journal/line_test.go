package journal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func sample(t testing.TB) (core.JournalEntry, []byte) {
	t.Helper()
	e := core.JournalEntry{
		Seq: 8, Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), Op: core.JournalPutTag,
		Repository: "library/alpine", Digest: "sha256:ab", MediaType: "application/json", Tag: "latest\n\"op\":\"abort\"", Actor: "ü",
	}
	raw, err := appendLine(nil, record{Batch: 7, Entry: e})
	if err != nil {
		t.Fatal(err)
	}
	return e, bytes.TrimSuffix(raw, []byte("\n"))
}

func TestLineRoundTrip(t *testing.T) {
	want, raw := sample(t)
	if bytes.ContainsRune(raw, '\n') {
		t.Fatalf("newline in %q", raw)
	}
	l, err := parseLine(raw)
	if err != nil || l.batch != 7 || l.seq != 8 {
		t.Fatalf("%+v, %v", l, err)
	}
	if got, err := l.decode(); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestLineFormat pins the format: journals of older versions must stay readable.
func TestLineFormat(t *testing.T) {
	const raw = `{"crc":"e9a3625c","batch":1,"entry":{"seq":1,"time":"2026-01-02T03:04:05.000006Z","op":"tag.delete","repository":"a/b","tag":"v1"}}`
	l, err := parseLine([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.decode()
	if err != nil || e.Op != core.JournalDeleteTag || e.Repository != "a/b" || e.Tag != "v1" {
		t.Errorf("%+v, %v", e, err)
	}
	if again, err := appendLine(nil, record{Batch: 1, Entry: e}); err != nil || string(again) != raw+"\n" {
		t.Errorf("written %s, %v", again, err)
	}
}

func TestEveryFlippedBitShows(t *testing.T) {
	_, raw := sample(t)
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			if _, err := parseLine(bad); err == nil {
				t.Fatalf("byte %d, bit %d: accepted %q", i, bit, bad)
			}
		}
	}
}

func TestEveryCutLineShows(t *testing.T) {
	_, raw := sample(t)
	for n := range raw {
		if _, err := parseLine(raw[:n]); err == nil {
			t.Fatalf("accepted %q", raw[:n])
		}
	}
}

func TestLongLineIsRefused(t *testing.T) {
	_, err := appendLine(nil, record{Batch: 1, Entry: core.JournalEntry{Seq: 1, Actor: strings.Repeat("x", maxLine)}})
	if core.ErrorCode(err) != core.CodeBadRequest {
		t.Errorf("error %v", err)
	}
	frame, _ := appendLine(nil, record{Batch: 1, Entry: core.JournalEntry{Seq: 1, Actor: "x"}})
	longest := strings.Repeat("x", maxLine-len(frame)+1)
	raw, err := appendLine(nil, record{Batch: 1, Entry: core.JournalEntry{Seq: 1, Actor: longest}})
	if err != nil || len(raw) != maxLine {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	count := 0
	err = readLines(bytes.NewReader(append(raw, raw...)), func(raw []byte, _ int) error {
		count++
		_, err := parseLine(raw)
		return err
	})
	if err != nil || count != 2 {
		t.Errorf("%d lines, %v", count, err)
	}
}

// FuzzParseLine looks for a panic, and for lines that are accepted but do not
// survive being written again.
func FuzzParseLine(f *testing.F) {
	_, raw := sample(f)
	f.Add(raw)
	f.Add([]byte(nil))
	f.Add([]byte(`{"crc":"00000000","batch":1,"entry":{"seq":1,`))
	f.Add(bytes.Repeat([]byte("x"), maxLine))
	f.Fuzz(func(t *testing.T, raw []byte) {
		check(t, raw)
		// The right checksum leads the fuzzer behind it.
		check(t, []byte(crcPrefix+checksum(raw)+crcSuffix+string(raw)))
	})
}

func check(t *testing.T, raw []byte) {
	l, err := parseLine(raw)
	if err != nil {
		return
	}
	e, err := l.decode()
	if err != nil {
		return
	}
	again, err := appendLine(nil, record{Batch: l.batch, Entry: e})
	if err != nil {
		return
	}
	back, err := parseLine(bytes.TrimSuffix(again, []byte("\n")))
	if err != nil {
		t.Fatalf("%q became %q: %v", raw, again, err)
	}
	if got, err := back.decode(); err != nil || !got.Time.Equal(e.Time) || got.Op != e.Op || got.Tag != e.Tag || got.To != e.To {
		t.Fatalf("%q became %q: %v", raw, again, err)
	}
}
