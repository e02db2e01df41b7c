package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// ordering is the order of a list that is read by position: columns that an
// index holds in this order, the last of which is unique.
type ordering struct {
	columns    []field
	descending bool
}

// windowPage reads one page of the selection: columns FROM source, in the order
// of k. key returns what the columns of k hold in a row.
func windowPage[T any](tx *Tx, s *selection, columns, source string, k ordering, w core.Window, scan func(scanner) (T, error), key func(T) []any) ([]T, core.Ends, error) {
	position, backward := strings.CutPrefix(w.Cursor, core.CursorBefore)
	plain := selection{fields: s.fields, conditions: slices.Clone(s.conditions), args: slices.Clone(s.args)}
	if w.Cursor != "" {
		if err := k.from(s, strings.TrimPrefix(position, core.CursorAfter), backward); err != nil {
			return nil, core.Ends{}, err
		}
	}
	where := s.clause()
	rows, err := list(tx, "SELECT "+columns+" FROM "+source+where+k.order(backward)+" LIMIT "+s.value(w.Size+1), s.args, scan)
	if err != nil {
		return nil, core.Ends{}, err
	}
	more := len(rows) > w.Size
	if backward && !more { // the start is near: the first page is always full
		return windowPage(tx, &plain, columns, source, k, core.Window{Size: w.Size}, scan, key)
	}
	rows = rows[:min(len(rows), w.Size)]
	if backward {
		slices.Reverse(rows)
	}
	return rows, ends(rows, backward, more, w.Cursor != "", key), nil
}

func ends[T any](rows []T, backward, more, inside bool, key func(T) []any) (e core.Ends) {
	if len(rows) == 0 {
		return e
	}
	if backward && more || !backward && inside {
		e.Previous = core.CursorBefore + encodeKey(key(rows[0]))
	}
	if backward || more {
		e.Next = core.CursorAfter + encodeKey(key(rows[len(rows)-1]))
	}
	return e
}

func encodeKey(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ",")
}

// from adds the condition that rows lie behind the position, or before it.
func (k ordering) from(s *selection, position string, backward bool) error {
	texts := strings.SplitN(position, ",", len(k.columns))
	if len(texts) != len(k.columns) {
		return core.Errorf(core.CodeBadRequest, "the position in the list is not one that the list gave; start from its first page")
	}
	names, marks, values := make([]string, len(texts)), make([]string, len(texts)), make([]any, len(texts))
	for i, c := range k.columns {
		names[i], marks[i], values[i] = c.column, "?", texts[i]
		if c.kind == intField {
			n, err := strconv.ParseInt(texts[i], 10, 64)
			if err != nil {
				return core.Errorf(core.CodeBadRequest, "the position in the list is not one that the list gave; start from its first page")
			}
			values[i] = n
		}
	}
	operator := " > "
	if k.descending != backward {
		operator = " < "
	}
	s.where("("+strings.Join(names, ", ")+")"+operator+"("+strings.Join(marks, ", ")+")", values...)
	return nil
}

func (k ordering) order(backward bool) string {
	keys := make([]string, len(k.columns))
	for i, c := range k.columns {
		keys[i] = c.column
		if k.descending != backward {
			keys[i] += " DESC"
		}
	}
	return " ORDER BY " + strings.Join(keys, ", ")
}

// contains adds that a column holds the text, in whatever case.
func (s *selection) contains(column, text string) {
	if text != "" {
		s.where("lower("+column+") LIKE ? ESCAPE '!'", "%"+likeEscape(strings.ToLower(text))+"%")
	}
}
