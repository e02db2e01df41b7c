package ui

import (
	"context"
	"strings"
)

// roleText says what the reader is in a project; "" where that is nothing.
func roleText(ctx context.Context, role string) string {
	if role == "" {
		return ""
	}
	return t(ctx, "project.role", role)
}

// algorithm is the part of a digest before the colon.
func algorithm(digest string) string {
	name, _, _ := strings.Cut(digest, ":")
	return name
}

func tagColumns(ctx context.Context, digests bool) []Column {
	columns := []Column{{Label: t(ctx, "repository.column.tag")}, {Label: t(ctx, "signed.column")}}
	if digests {
		columns = append(columns, Column{Label: t(ctx, "repository.column.digest")})
	}
	return append(columns, Column{Label: t(ctx, "repository.column.pushed"), Class: "num"},
		Column{Label: t(ctx, "repository.column.pulled"), Class: "num"}, Column{Label: t(ctx, "frame.actions"), Class: "fit", Hidden: true})
}

// artifactName is the tag by which the reader came, or a short digest.
func artifactName(h ArtifactHead) string {
	if h.Tag != "" {
		return h.Tag
	}
	return shortDigest(h.Digest, 12)
}
