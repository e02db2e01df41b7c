package config

import (
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Reserve is how much of a disk is kept free: so many bytes or such a share of
// the whole, whichever is more.
type Reserve struct {
	Bytes   uint64
	Percent float64
}

// Of returns the reserve in bytes on a disk of total bytes.
func (r Reserve) Of(total uint64) uint64 {
	return max(r.Bytes, uint64(r.Percent/100*float64(total)))
}

// maxPercent leaves room for something to be stored.
const maxPercent = 90

// parseReserve reads parts like 2GiB, 500MiB, 1048576 or 1%, joined by commas;
// of several parts of one kind the largest counts.
func parseReserve(text string) (Reserve, error) {
	var r Reserve
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if share, ok := strings.CutSuffix(part, "%"); ok {
			percent, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
			if err != nil || !(percent >= 0 && percent <= maxPercent) {
				return r, core.Errorf(core.CodeBadRequest, "%q is no share of a disk; use 0%% to %d%%", part, maxPercent)
			}
			r.Percent = max(r.Percent, percent)
			continue
		}
		n, ok := parseSize(part)
		if !ok {
			return r, core.Errorf(core.CodeBadRequest, "%q is no amount of space; write it like 2GiB, 500MiB, 1%% or, for none, 0", part)
		}
		r.Bytes = max(r.Bytes, n)
	}
	return r, nil
}

// parseSize reads a number of bytes with an optional unit from KiB to TiB.
func parseSize(text string) (uint64, bool) {
	shift := uint(0)
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			text, shift = strings.TrimSpace(number), uint(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > 1<<62>>shift {
		return 0, false
	}
	return n << shift, true
}
