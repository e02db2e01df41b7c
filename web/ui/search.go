package ui

import "context"

func searchText(ctx context.Context, text string) string {
	if text == "" {
		return ""
	}
	return t(ctx, "search.for", text)
}
