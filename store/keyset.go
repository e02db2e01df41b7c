package store

import (
	"slices"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// keyset is a list in the order of one column whose values are unique. Pages of
// it begin at a value, so that none has to walk over those before it.
type keyset struct {
	columns, source string
	filters         []core.Filter
	key             field
	descending      bool
}

// keysetPage reads the page of the list, within the selection, where c is.
func keysetPage[T any](tx *Tx, s *selection, k keyset, c core.Cursor, scan func(scanner) (T, error)) ([]T, core.Beside, error) {
	if err := s.filter(k.filters); err != nil {
		return nil, core.Beside{}, err
	}
	value, back := c.After, false
	if c.After == "" {
		value, back = c.Before, c.Before != ""
	}
	order, compare := " ASC", " > ?"
	if back != k.descending {
		order, compare = " DESC", " < ?"
	}
	if value != "" {
		from, err := k.key.parse("the start of the page", value)
		if err != nil {
			return nil, core.Beside{}, err
		}
		s.where(k.key.column+compare, from)
	}
	query := "SELECT " + k.columns + " FROM " + k.source + s.clause() + " ORDER BY " + k.key.column + order + " LIMIT " + s.value(c.Limit+1)
	rows, err := list(tx, query, s.args, scan)
	if err != nil {
		return nil, core.Beside{}, err
	}
	more := len(rows) > c.Limit
	rows = rows[:min(len(rows), c.Limit)]
	if back {
		slices.Reverse(rows)
		return rows, core.Beside{Before: more, After: true}, nil
	}
	return rows, core.Beside{Before: value != "", After: more}, nil
}
