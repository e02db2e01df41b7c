package ui

import (
	"context"
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// Score is a CVSS score as the reader's language writes it.
func Score(ctx context.Context, score float64) string {
	return point(ctx, strconv.FormatFloat(score, 'f', 1, 64))
}

// Percent is a probability from 0 to 1 in percent.
func Percent(ctx context.Context, probability float64) string {
	digits := 0
	if probability < 0.1 {
		digits = 1
	}
	return point(ctx, strconv.FormatFloat(probability*100, 'f', digits, 64)) + " %"
}

func point(ctx context.Context, number string) string {
	if i18n.Of(ctx) == "de" {
		return strings.Replace(number, ".", ",", 1)
	}
	return number
}

func rebuildNote(ctx context.Context, v *RebuildView) string {
	if v.Base == "" {
		return ""
	}
	return t(ctx, "report.rebuild.base", v.Base)
}

func orDistribution(ctx context.Context, os string) string {
	if os == "" {
		return t(ctx, "report.distribution")
	}
	return os
}

func updateKind(ctx context.Context, u UpdateRow) string {
	if u.Application {
		return t(ctx, "report.kind.application")
	}
	return t(ctx, "report.kind.distribution")
}

func billsText(ctx context.Context, v ReportView) string {
	if len(v.Bills) > 0 {
		return t(ctx, "report.bills.text")
	}
	return t(ctx, "report.bills.none")
}
