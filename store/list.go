package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// fieldKind says how the values of a list's field are read and compared.
type fieldKind int

const (
	textField fieldKind = iota
	intField
	boolField
	timeField
)

// field is a column that a caller may filter or sort a list by.
type field struct {
	column string
	kind   fieldKind
}

// fields is the allow-list of one noun; what is not in it is refused, so that
// no caller-given name ever reaches SQL (CVE-2019-19026, CVE-2025-30086).
type fields map[string]field

// selection is a list query in the making. Conditions are added with where,
// whose placeholders are written as ?.
type selection struct {
	fields     fields
	conditions []string
	args       []any
}

func (s *selection) where(condition string, args ...any) {
	for _, arg := range args {
		condition = strings.Replace(condition, "?", s.value(arg), 1)
	}
	s.conditions = append(s.conditions, condition)
}

// value adds an argument that is no condition and returns its placeholder.
func (s *selection) value(arg any) string {
	s.args = append(s.args, arg)
	return "$" + strconv.Itoa(len(s.args))
}

// in adds "column IN (...)"; no value at all selects nothing.
func in[T any](s *selection, column string, values []T) {
	if len(values) == 0 {
		s.where("1 = 0")
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	s.where(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
}

// clause renders the WHERE part.
func (s *selection) clause() string {
	if len(s.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(s.conditions, " AND ")
}

// filter adds the caller's conditions.
func (s *selection) filter(filters []core.Filter) error {
	for _, f := range filters {
		column, ok := s.fields[f.Field]
		if !ok {
			return s.unknown("filtered", f.Field)
		}
		if err := s.add(column, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) add(c field, f core.Filter) error {
	if f.Match == core.MatchFuzzy {
		if c.kind != textField {
			return core.Errorf(core.CodeBadRequest, "%s cannot be matched with ~; use %s=value or a range [a~b]", f.Field, f.Field)
		}
		s.where("lower("+c.column+") LIKE ? ESCAPE '!'", "%"+likeEscape(strings.ToLower(f.Values[0]))+"%")
		return nil
	}
	args := make([]any, len(f.Values))
	for i, v := range f.Values {
		if f.Match == core.MatchRange && v == "" {
			continue
		}
		var err error
		if args[i], err = c.parse(f.Field, v); err != nil {
			return err
		}
	}
	switch f.Match {
	case core.MatchAny, core.MatchAll:
		in(s, c.column, args)
	case core.MatchRange:
		for i, op := range []string{" >= ?", " <= ?"} {
			if args[i] != nil {
				s.where(c.column+op, args[i])
			}
		}
	default:
		if yes, ok := args[0].(bool); ok { // written out, an index of those rows only is found
			s.where(c.column + " = " + strings.ToUpper(strconv.FormatBool(yes)))
			return nil
		}
		s.where(c.column+" = ?", args[0])
	}
	return nil
}

// likeEscape makes text match itself in a LIKE pattern with ESCAPE '!'.
func likeEscape(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

func (c field) parse(name, value string) (any, error) {
	switch c.kind {
	case intField:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, core.Errorf(core.CodeBadRequest, "%s is a number", name)
		}
		return n, nil
	case boolField:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, core.Errorf(core.CodeBadRequest, "%s is true or false", name)
		}
		return b, nil
	case timeField:
		t, err := core.ParseTime(value)
		return micros(t), err
	}
	return value, nil
}

// page renders ORDER BY and LIMIT: the caller's keys, else fallback, and then
// the unique column tie, so that pages never overlap.
func (s *selection) page(q core.Query, fallback, tie string) (string, error) {
	keys := make([]string, 0, len(q.Sort)+1)
	for _, key := range q.Sort {
		column, ok := s.fields[key.Field]
		if !ok {
			return "", s.unknown("sorted", key.Field)
		}
		if key.Descending {
			keys = append(keys, column.column+" DESC")
			continue
		}
		keys = append(keys, column.column)
	}
	if len(keys) == 0 {
		keys = append(keys, fallback)
	}
	if strings.HasSuffix(keys[len(keys)-1], " DESC") { // in the same direction an index can serve both
		tie = strings.TrimSuffix(tie, " DESC") + " DESC"
	}
	return fmt.Sprintf(" ORDER BY %s, %s LIMIT %s OFFSET %s", strings.Join(keys, ", "), tie, s.value(q.PageSize), s.value(q.Offset())), nil
}

func (s *selection) unknown(verb, name string) error {
	names := make([]string, 0, len(s.fields))
	for known := range s.fields {
		names = append(names, known)
	}
	return core.Errorf(core.CodeBadRequest, "this list cannot be %s by %q; it knows %s", verb, clipName(name), strings.Join(sorted(names), ", "))
}

// listPage counts and reads one page of the selection: columns FROM source.
func listPage[T any](tx *Tx, s *selection, columns, source string, q core.Query, fallback, tie string, scan func(scanner) (T, error)) ([]T, int64, error) {
	if err := s.filter(q.Filters); err != nil {
		return nil, 0, err
	}
	var total int64
	if err := tx.get("SELECT COUNT(*) FROM "+source+s.clause(), s.args, &total); err != nil {
		return nil, 0, err
	}
	where := s.clause()
	order, err := s.page(q, fallback, tie)
	if err != nil {
		return nil, 0, err
	}
	rows, err := list(tx, "SELECT "+columns+" FROM "+source+where+order, s.args, scan)
	return rows, total, err
}

func clipName(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "..."
	}
	return name
}

func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
