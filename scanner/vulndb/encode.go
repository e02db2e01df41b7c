package vulndb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"time"
	"unique"

	"github.com/quay/claircore"
	"github.com/quay/claircore/toolkit/types/cpe"
)

// digest is the identity of a row's content.
type digest [16]byte

// hasher makes digests of fields, each with its length before it, so that no
// two lists of fields look the same.
type hasher struct {
	hash hash.Hash
	buf  []byte
}

func newHasher() *hasher { return &hasher{hash: sha256.New()} }

func (h *hasher) text(fields ...string) {
	for _, field := range fields {
		h.buf = binary.AppendUvarint(h.buf, uint64(len(field)))
		h.buf = append(h.buf, field...)
	}
}

func (h *hasher) number(n int64) { h.buf = binary.AppendVarint(h.buf, n) }

func (h *hasher) sum() (d digest) {
	h.hash.Reset()
	h.hash.Write(h.buf)
	h.buf = h.buf[:0]
	var full [sha256.Size]byte
	copy(d[:], h.hash.Sum(full[:0]))
	return d
}

// encodeVersion writes a version so that comparing bytes compares versions:
// big-endian, with the sign bit flipped.
func encodeVersion(v *claircore.Version) []byte {
	out := make([]byte, 0, 4*len(v.V))
	for _, n := range v.V {
		out = binary.BigEndian.AppendUint32(out, uint32(n)^1<<31)
	}
	return out
}

// encodeRange returns NULLs for a range that can hold no version.
func encodeRange(r *claircore.Range) (kind, lower, upper any) {
	if r == nil || r.Lower.Kind != r.Upper.Kind {
		return nil, nil, nil
	}
	return r.Lower.Kind, encodeVersion(&r.Lower), encodeVersion(&r.Upper)
}

// cpeText is how a CPE is stored: the zero value, which would bind to a name
// that matches everything, is ”.
func cpeText(w cpe.WFN) (string, error) {
	text, err := w.MarshalText()
	if err != nil {
		return "", fmt.Errorf("CPE: %w", err)
	}
	return string(text), nil
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func timeAt(us *int64) time.Time {
	if us == nil {
		return time.Time{}
	}
	return time.UnixMicro(*us).UTC()
}

// encodeAliases writes the vulnerability's own name and its aliases, leaving
// out what is not valid.
func encodeAliases(v *claircore.Vulnerability) string {
	self := []string{}
	if v.Self.Valid() {
		self = []string{v.Self.Space.Value(), v.Self.Name}
	}
	list := [][]string{self}
	for _, a := range v.Aliases {
		if a.Valid() {
			list = append(list, []string{a.Space.Value(), a.Name})
		}
	}
	if len(list) == 1 && len(self) == 0 {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings always can be written
	}
	return string(text)
}

func decodeAliases(text string, v *claircore.Vulnerability) error {
	if text == "" {
		return nil
	}
	var list [][]string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return fmt.Errorf("aliases of %s: %w", v.Name, err)
	}
	for i, pair := range list {
		if len(pair) != 2 {
			continue // it has no name of its own
		}
		alias := claircore.Alias{Space: unique.Make(pair[0]), Name: pair[1]}
		if i == 0 {
			v.Self = alias
		} else {
			v.Aliases = append(v.Aliases, alias)
		}
	}
	return nil
}
