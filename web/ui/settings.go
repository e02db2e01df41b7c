package ui

import (
	"context"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

func usedOf(ctx context.Context, hard int64) string {
	if hard < 0 {
		return t(ctx, "settings.unlimited")
	}
	return t(ctx, "projects.of", i18n.Bytes(ctx, hard))
}

// logText is what a row of the log is about, in a few words.
func logText(row LogRow) string {
	if row.Description == "" {
		return row.Type
	}
	return row.Type + ": " + row.Description
}
