package core_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

func TestParseQuery(t *testing.T) {
	q, err := core.ParseQuery("name=~ab,public=true,size=[1~9],op_time=[~2026-01-31],level={a b},tags=(x),quoted=\"v\"", "name,-size", "3", "25")
	if err != nil {
		t.Fatal(err)
	}
	want := core.Query{
		Filters: []core.Filter{
			{Field: "name", Match: core.MatchFuzzy, Values: []string{"ab"}},
			{Field: "public", Match: core.MatchExact, Values: []string{"true"}},
			{Field: "size", Match: core.MatchRange, Values: []string{"1", "9"}},
			{Field: "op_time", Match: core.MatchRange, Values: []string{"", "2026-01-31"}},
			{Field: "level", Match: core.MatchAny, Values: []string{"a", "b"}},
			{Field: "tags", Match: core.MatchAll, Values: []string{"x"}},
			{Field: "quoted", Match: core.MatchExact, Values: []string{"v"}},
		},
		Sort: []core.SortKey{{Field: "name"}, {Field: "size", Descending: true}},
		Page: 3, PageSize: 25,
	}
	if !reflect.DeepEqual(q, want) {
		t.Errorf("ParseQuery = %+v, want %+v", q, want)
	}
	if q.Offset() != 50 {
		t.Errorf("Offset = %d, want 50", q.Offset())
	}
}

func TestParseQueryRefuses(t *testing.T) {
	tests := []struct{ name, q, sort, page, size string }{
		{name: "no value", q: "name"},
		{name: "no field", q: "=x"},
		{name: "open range", q: "size=[5]"},
		{name: "empty list", q: "level={}"},
		{name: "too many conditions", q: strings.Repeat("a=b,", 30) + "a=b"},
		{name: "too long", q: "a=" + strings.Repeat("b", 5000)},
		{name: "invalid UTF-8", q: "a=\xff"},
		{name: "empty sort key", sort: "a,,b"},
		{name: "page 0", page: "0"},
		{name: "negative page", page: "-1"},
		{name: "page beyond measure", page: "99999999999999999999"},
		{name: "large page", size: "101"},
		{name: "no number", size: "ten"},
	}
	for _, tt := range tests {
		if _, err := core.ParseQuery(tt.q, tt.sort, tt.page, tt.size); core.ErrorCode(err) != core.CodeBadRequest {
			t.Errorf("%s: %v, want BAD_REQUEST", tt.name, err)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("name=~ab,size=[1~9],a={b c}", "name,-size", "1", "10")
	f.Add("a=(\"b\")", "-", "", "")
	f.Fuzz(func(t *testing.T, q, sort, page, size string) {
		query, err := core.ParseQuery(q, sort, page, size)
		if err != nil {
			if core.ErrorCode(err) != core.CodeBadRequest {
				t.Errorf("the error %v has not the code BAD_REQUEST", err)
			}
			return
		}
		if query.Page < 1 || query.PageSize < 1 || query.PageSize > core.MaxPageSize || query.Offset() < 0 {
			t.Errorf("the page is %d of size %d", query.Page, query.PageSize)
		}
		for _, filter := range query.Filters {
			if filter.Field == "" || len(filter.Values) == 0 || (filter.Match == core.MatchRange && len(filter.Values) != 2) {
				t.Errorf("the filter %+v is not one", filter)
			}
		}
	})
}
