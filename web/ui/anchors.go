package ui

import (
	"context"
	"time"

	"github.com/a-h/templ"
)

func anchorTitle(ctx context.Context, v AnchorForm) string {
	if v.isNew() {
		return t(ctx, "anchors.new")
	}
	return v.Row.Name
}

func anchorVerb(ctx context.Context, v AnchorForm) string {
	if v.isNew() {
		return t(ctx, "anchors.add")
	}
	return t(ctx, "frame.save")
}

func fileAttrs(v AnchorForm) templ.Attributes {
	return fieldAttrs(Field{Name: "file", Error: v.Errors["file"], Hint: t(context.Background(), "anchors.file.hint")})
}

// lastDay is the day on which the last moment before end is.
func lastDay(ctx context.Context, end time.Time) string { return day(ctx, end.Add(-time.Microsecond)) }
