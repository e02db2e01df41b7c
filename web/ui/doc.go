// Package ui is the pages of the user interface as templ components over plain
// view structs. It knows neither the store nor the use cases: what a reader may
// do arrives as booleans. It follows the content security policy: no inline
// script or style, no style attribute, no hx-on.
package ui

//go:generate go tool templ generate

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/assets"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// t is the text of key in the reader's language.
func t(ctx context.Context, key string, args ...any) string { return i18n.T(ctx, key, args...) }

// n is the text of key.one or key.other.
func n(ctx context.Context, key string, count int64, args ...any) string {
	return i18n.N(ctx, key, count, args...)
}

func iconURL(name string) string { return assets.URL("icons.svg") + "#" + name }

func number(i int64) string { return strconv.FormatInt(i, 10) }

func itoa(i int) string { return strconv.Itoa(i) }

// described lists the ids of the texts that belong to a field.
func described(f Field) string {
	var ids []string
	if f.Error != "" {
		ids = append(ids, f.Name+"-error")
	}
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	return strings.Join(ids, " ")
}

// breakable cuts a text behind the slashes where a line may break: those that
// follow a name.
func breakable(text string) []string {
	var parts []string
	begin := 0
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '/' && text[i-1] != ' ' && text[i-1] != '/' {
			parts = append(parts, text[begin:i+1])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// RoleName is a project role in the reader's language; of 0 it is that there
// is none.
func RoleName(ctx context.Context, role core.Role) string {
	if !role.Valid() {
		return t(ctx, "role.none")
	}
	return t(ctx, "role."+strconv.Itoa(int(role)))
}

func rfc3339(at time.Time) string { return at.UTC().Format(time.RFC3339) }
