package ui

import (
	"context"

	"github.com/a-h/templ"
)

func selectorValue(others bool) string {
	if others {
		return "excludes"
	}
	return "matches"
}

func selectorOptions(ctx context.Context) []Option {
	return []Option{{Value: "matches", Label: t(ctx, "policies.matching")}, {Value: "excludes", Label: t(ctx, "policies.others")}}
}

// policyCrumbs lead to the policies of a project, and further.
func policyCrumbs(ctx context.Context, project, policies string, more ...Link) []Link {
	return append([]Link{{Href: "/projects", Label: t(ctx, "projects.title")}, {Href: "/projects/" + project, Label: project},
		{Href: policies, Label: t(ctx, "project.tab.policies")}}, more...)
}

// statusMark is the kind and the picture of a job's status.
func statusMark(status string) (kind, icon string) {
	switch status {
	case "Success":
		return "ok", "check"
	case "Error":
		return "danger", "warn"
	case "Stopped":
		return "off", "stop"
	}
	return "warn", "clock"
}

// fateMark is the kind, the picture and the word of what happens to a tag.
func fateMark(ctx context.Context, fate string, dryRun bool) (kind, icon, word string) {
	switch fate {
	case "deleted":
		if dryRun {
			return "danger", "trash", t(ctx, "retention.fate.would-delete")
		}
		return "danger", "trash", t(ctx, "retention.fate.deleted")
	case "immutable":
		return "", "lock", t(ctx, "retention.fate.immutable")
	case "error":
		return "danger", "warn", t(ctx, "retention.fate.error")
	}
	return "ok", "check", t(ctx, "retention.fate.retained")
}

func runDialog(ctx context.Context, v RetentionView) Confirm {
	return Confirm{ID: "run", Title: t(ctx, "retention.run.title"), Text: t(ctx, "retention.run.text"), Action: v.Path + "/runs", Verb: t(ctx, "retention.run")}
}

func runKind(ctx context.Context, dryRun bool) string {
	if dryRun {
		return t(ctx, "retention.kind.dry")
	}
	return t(ctx, "retention.kind.run")
}

func runSub(ctx context.Context, dryRun bool) string {
	if dryRun {
		return t(ctx, "retention.kind.dry.text")
	}
	return t(ctx, "retention.kind.run.text")
}

func removedLabel(ctx context.Context, dryRun bool) string {
	if dryRun {
		return t(ctx, "retention.column.would-go")
	}
	return t(ctx, "retention.column.gone")
}

// pollAttrs have htmx load the page again while something goes on.
func pollAttrs(path string, running bool) templ.Attributes {
	if !running {
		return nil
	}
	return templ.Attributes{"hx-get": path, "hx-trigger": "every 2s", "hx-target": "#main", "hx-swap": "outerMorph"}
}
