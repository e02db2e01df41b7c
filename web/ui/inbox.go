package ui

import (
	"context"
	"strconv"
)

// mostUnseen is up to where new notifications are counted.
const mostUnseen = 100

func unseenText(n int64) string {
	if n >= mostUnseen {
		return strconv.Itoa(mostUnseen-1) + "+"
	}
	return strconv.FormatInt(n, 10)
}

// bellText is what the bell says to those who do not see it.
func bellText(ctx context.Context, unseen int64) string {
	if unseen == 0 {
		return t(ctx, "inbox.title")
	}
	return t(ctx, "inbox.bell", unseenText(unseen))
}
