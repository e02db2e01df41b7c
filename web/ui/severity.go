package ui

import (
	"context"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// ScanState is where an artifact stands with its scans.
type ScanState string

// The states. ScanQueued and ScanRunning are those of a scan that goes on.
const (
	ScanNone        ScanState = "none"      // not scanned yet
	ScanNotMeant    ScanState = "not-meant" // no image: it is not scanned
	ScanQueued      ScanState = "queued"
	ScanRunning     ScanState = "running"
	ScanFailed      ScanState = "failed"
	ScanUnsupported ScanState = "unsupported"
	ScanDone        ScanState = "done"
)

// severityName is the severity in class names and as the name of its picture.
func severityName(s core.Severity) string { return strings.ToLower(s.String()) }

// SeverityWord is the severity in the reader's language.
func SeverityWord(ctx context.Context, s core.Severity) string {
	return t(ctx, "severity."+severityName(s))
}

// TallyText is the numbers of the severities in words, such as "1 Critical, 2 High".
func TallyText(ctx context.Context, tally core.Tally) string {
	var parts []string
	for _, s := range core.Severities() {
		if count := tally.Of(s); count > 0 {
			parts = append(parts, i18n.Number(ctx, count)+" "+SeverityWord(ctx, s))
		}
	}
	if len(parts) == 0 {
		return SeverityWord(ctx, core.SeverityNone)
	}
	return strings.Join(parts, ", ")
}

func scanIcon(s ScanState) string {
	if s == ScanRunning {
		return "scan"
	}
	return "clock"
}

// sevPart is one severity in a bar.
type sevPart struct{ class, x, width string }

// sevLeast is how wide what is there is at least, in percent of all.
const sevLeast = 3.0

func sevWidth(count, total int64) float64 {
	return max(sevLeast, float64(count)/float64(total)*100)
}

func tenths(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// sevParts are the parts of the bar from the left.
func sevParts(tally core.Tally) []sevPart {
	var parts []sevPart
	x := 0.0
	for _, s := range core.Severities() {
		if count := tally.Of(s); count > 0 {
			width := sevWidth(count, tally.Total())
			parts = append(parts, sevPart{"fill-" + severityFill(s), tenths(x), tenths(width)})
			x += width
		}
	}
	return parts
}

// sevBox is the view box that the parts fill.
func sevBox(tally core.Tally) string {
	width := 0.0
	for _, s := range core.Severities() {
		if count := tally.Of(s); count > 0 {
			width += sevWidth(count, tally.Total())
		}
	}
	return "0 0 " + tenths(width) + " 6"
}

// severityFill is the class of a severity in a bar: the least ones share one.
func severityFill(s core.Severity) string {
	if s <= core.SeverityNegligible {
		return "minor"
	}
	return severityName(s)
}
