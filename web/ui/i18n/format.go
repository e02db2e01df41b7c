package i18n

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// Number writes n with the thousands apart: 12,345 or 12.345.
func Number(ctx context.Context, n int64) string {
	digits, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + T(ctx, "format.thousands") + digits[i:]
	}
	return sign + digits
}

// Bytes writes a size in B, KiB, MiB and so on, with one decimal below ten.
func Bytes(ctx context.Context, n int64) string {
	number, unit := Size(ctx, n)
	return number + "\u00a0" + unit
}

// Size is Bytes in its two parts.
func Size(ctx context.Context, n int64) (number, unit string) {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value, i = value/1024, i+1
	}
	decimals := 0
	if i > 0 && value < 9.95 {
		decimals = 1
	}
	text := strings.TrimSuffix(strconv.FormatFloat(value, 'f', decimals, 64), ".0")
	return strings.Replace(text, ".", T(ctx, "format.decimal"), 1), units[i]
}

// Short writes a count in few characters: 950, 1.2k, 3.4M.
func Short(ctx context.Context, n int64) string {
	value, unit := float64(n), ""
	for _, next := range []string{"k", "M", "G"} {
		if value < 999.5 {
			break
		}
		value, unit = value/1000, next
	}
	decimals := 0
	if unit != "" && value < 9.95 {
		decimals = 1
	}
	text := strings.TrimSuffix(strconv.FormatFloat(value, 'f', decimals, 64), ".0")
	return strings.Replace(text, ".", T(ctx, "format.decimal"), 1) + unit
}

// Day writes a date: 14 December 2026.
func Day(ctx context.Context, at time.Time) string {
	at = at.UTC()
	month := T(ctx, "format.month."+strconv.Itoa(int(at.Month())))
	return T(ctx, "format.day", at.Day(), month, at.Year())
}

// ShortDay writes a date without its year, for the axis of a chart: 14 Dec.
func ShortDay(ctx context.Context, at time.Time) string {
	at = at.UTC()
	month := []rune(T(ctx, "format.month."+strconv.Itoa(int(at.Month()))))
	return T(ctx, "format.shortday", at.Day(), string(month[:min(3, len(month))]))
}

// Exact writes a moment to the second, in UTC.
func Exact(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// Ago writes how long before now at was, and the date when that is more than a
// year; a moment that is still to come is written as a time until then.
func Ago(ctx context.Context, at, now time.Time) string {
	passed, direction := now.Sub(at), "format.ago."
	if passed < 0 {
		passed, direction = -passed, "format.until."
	}
	switch {
	case passed < time.Minute:
		return T(ctx, "format.ago.now")
	case passed < time.Hour:
		return N(ctx, direction+"minutes", int64(passed/time.Minute))
	case passed < 24*time.Hour:
		return N(ctx, direction+"hours", int64(passed/time.Hour))
	case passed < 365*24*time.Hour:
		return N(ctx, direction+"days", int64(passed/(24*time.Hour)))
	}
	return Day(ctx, at)
}

// Span writes how long something takes or lasted: 12 s, 4 min, 2 h 5 min, 3 d.
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "\u00a0ms"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + "\u00a0s"
	case d < time.Hour:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "\u00a0min"
	case d < 24*time.Hour:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "\u00a0h\u00a0" + strconv.FormatInt(int64(d/time.Minute)%60, 10) + "\u00a0min"
	}
	return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "\u00a0d"
}
