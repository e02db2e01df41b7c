package core

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of a list request, as in Harbor.
const (
	DefaultPageSize = 10
	MaxPageSize     = 100
	maxQueryLength  = 4096
	maxFilters      = 20
)

// Match says how a filter compares.
type Match int

// The comparisons of the q parameter: k=v, k=~v, k=[a~b], k={a b} and k=(a b).
const (
	MatchExact Match = iota
	MatchFuzzy
	MatchRange
	MatchAny
	MatchAll // of a field that has several values; any of them for all others
)

// Filter is one condition of a list request. The store knows which fields a
// list has; every other one is refused there.
type Filter struct {
	Field  string
	Match  Match
	Values []string // one; for MatchRange two, either of which may be ""
}

// SortKey is one field to sort by.
type SortKey struct {
	Field      string
	Descending bool
}

// Query is what to list: the conditions, the order and the page.
type Query struct {
	Filters  []Filter
	Sort     []SortKey
	Page     int // from 1
	PageSize int
}

// Offset is the number of rows before the page.
func (q Query) Offset() int64 { return int64(q.Page-1) * int64(q.PageSize) }

// ParseQuery reads Harbor's list parameters: q ("k=v,k=~v,k=[a~b],k={a b},k=(a b)"),
// sort ("field,-field"), page (from 1) and page_size (at most 100). Empty
// strings mean the defaults.
func ParseQuery(q, sort, page, pageSize string) (Query, error) {
	if len(q) > maxQueryLength || len(sort) > maxQueryLength || !utf8.ValidString(q) || !utf8.ValidString(sort) {
		return Query{}, Errorf(CodeBadRequest, "the q and sort parameters must be valid UTF-8 of at most %d bytes", maxQueryLength)
	}
	query := Query{Page: 1, PageSize: DefaultPageSize}
	var err error
	if query.Filters, err = parseFilters(q); err != nil {
		return Query{}, err
	}
	if query.Sort, err = parseSort(sort); err != nil {
		return Query{}, err
	}
	if query.Page, err = parseBound("page", page, 1, 1, 1<<31); err != nil {
		return Query{}, err
	}
	if query.PageSize, err = parseBound("page_size", pageSize, DefaultPageSize, 1, MaxPageSize); err != nil {
		return Query{}, err
	}
	return query, nil
}

func parseBound(name, value string, fallback, low, high int) (int, error) {
	if value == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, Errorf(CodeBadRequest, "%s must be a number from %d to %d", name, low, high)
	}
	return n, nil
}

func parseFilters(q string) ([]Filter, error) {
	if strings.TrimSpace(q) == "" {
		return nil, nil
	}
	parts := strings.Split(q, ",")
	if len(parts) > maxFilters {
		return nil, Errorf(CodeBadRequest, "the q parameter has more than %d conditions", maxFilters)
	}
	filters := make([]Filter, 0, len(parts))
	for _, part := range parts {
		f, err := parseFilter(part)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	return filters, nil
}

func parseFilter(part string) (Filter, error) {
	field, value, ok := strings.Cut(part, "=")
	field = strings.TrimSpace(field)
	if !ok || field == "" {
		return Filter{}, Errorf(CodeBadRequest, "the condition %q of the q parameter must look like field=value", Clip(part, 64))
	}
	switch {
	case strings.HasPrefix(value, "~"):
		return Filter{field, MatchFuzzy, []string{value[1:]}}, nil
	case enclosed(value, '[', ']'):
		low, high, ok := strings.Cut(value[1:len(value)-1], "~")
		if !ok {
			return Filter{}, Errorf(CodeBadRequest, "the range of %q in the q parameter must look like [a~b]", Clip(field, 64))
		}
		return Filter{field, MatchRange, []string{strings.TrimSpace(low), strings.TrimSpace(high)}}, nil
	case enclosed(value, '{', '}'):
		return parseValues(field, MatchAny, value)
	case enclosed(value, '(', ')'):
		return parseValues(field, MatchAll, value)
	}
	return Filter{field, MatchExact, []string{unquote(value)}}, nil
}

func parseValues(field string, match Match, value string) (Filter, error) {
	values := strings.Fields(value[1 : len(value)-1])
	if len(values) == 0 {
		return Filter{}, Errorf(CodeBadRequest, "the list of %q in the q parameter is empty", Clip(field, 64))
	}
	return Filter{field, match, unquoteAll(values)}, nil
}

func enclosed(s string, open, shut byte) bool {
	return len(s) >= 2 && s[0] == open && s[len(s)-1] == shut
}

func unquote(s string) string {
	if enclosed(s, '"', '"') {
		return s[1 : len(s)-1]
	}
	return s
}

func unquoteAll(values []string) []string {
	for i, v := range values {
		values[i] = unquote(v)
	}
	return values
}

func parseSort(sort string) ([]SortKey, error) {
	if strings.TrimSpace(sort) == "" {
		return nil, nil
	}
	parts := strings.Split(sort, ",")
	if len(parts) > maxFilters {
		return nil, Errorf(CodeBadRequest, "the sort parameter has more than %d fields", maxFilters)
	}
	keys := make([]SortKey, 0, len(parts))
	for _, part := range parts {
		field, descending := strings.CutPrefix(strings.TrimSpace(part), "-")
		if field == "" {
			return nil, Errorf(CodeBadRequest, "the sort parameter must look like field,-field")
		}
		keys = append(keys, SortKey{field, descending})
	}
	return keys, nil
}

// timeLayouts are what a range of times may be written in.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"}

// ParseTime reads a time of a filter: RFC 3339, or a date with or without a
// time of day in UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Errorf(CodeBadRequest, "%q is not a time such as 2026-01-31T08:00:00Z or 2026-01-31", Clip(s, 64))
}
