package app

import (
	"context"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// SecuritySummary is the security hub's view of the registry.
type SecuritySummary struct {
	store.SecurityCounts
	WorstImages []store.DangerousImage
	WorstCVEs   []core.CVECount // of at least High, those in the most images first
	Exploited   []core.CVECount // known to be exploited, whatever their severity
}

// Tally is the findings by severity.
func (s SecuritySummary) Tally() core.Tally {
	return core.Tally{Critical: s.Critical, High: s.High, Medium: s.Medium, Low: s.Low, Negligible: s.Negligible, Unknown: s.Unknown,
		Fixable: s.Fixable, KEV: s.KEV}
}

// SecuritySummary counts what was found in all images, and looks up at most so
// many of the worst images and of the worst vulnerabilities of each kind.
func (a *App) SecuritySummary(ctx context.Context, c core.Caller, images, cves int) (sum SecuritySummary, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResSecurityHub, core.ActRead); err != nil {
			return err
		}
		if sum.SecurityCounts, err = s.CountSecurity(); err != nil || images == 0 {
			return err
		}
		sum.WorstImages, err = s.worstImages(images)
		return err
	})
	if err != nil || cves == 0 {
		return sum, err
	}
	engine, err := a.scanning()
	if err != nil {
		return sum, err
	}
	grave := core.VulnerabilityQuery{Severities: []core.Severity{core.SeverityHigh, core.SeverityCritical}}
	if sum.WorstCVEs, err = engine.CommonCVEs(ctx, grave, cves); err != nil {
		return sum, err
	}
	exploited := true
	sum.Exploited, err = engine.CommonCVEs(ctx, core.VulnerabilityQuery{KEV: &exploited}, cves)
	return sum, err
}

// worstImages lists the worst images with their tags.
func (s *session) worstImages(n int) ([]store.DangerousImage, error) {
	worst, err := s.DangerousImages(n)
	if err != nil || len(worst) == 0 {
		return nil, err
	}
	digests := make([]string, len(worst))
	for i, image := range worst {
		digests[i] = image.Digest
	}
	holders, err := s.Holders(digests, store.ImageFilter{})
	for i := range worst {
		worst[i].Tags = holders[worst[i].Digest].Tags
	}
	return worst, err
}

// SecurityDay is what was known of all images on one day.
type SecurityDay = store.SecurityDay

// MaxTrendDays is how long the counts of a day are kept.
const MaxTrendDays = 400

// SecurityTrend returns what was known of all images on each of the last days,
// today with what is known now. Days on which the registry did not run, or had
// scanned nothing yet, are missing.
func (a *App) SecurityTrend(ctx context.Context, c core.Caller, days int) (trend []SecurityDay, err error) {
	if days < 1 || days > MaxTrendDays {
		return nil, core.Errorf(core.CodeBadRequest, "days must be from 1 to %d", MaxTrendDays)
	}
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onSystem(core.ResSecurityHub, core.ActRead); err != nil {
			return err
		}
		today := s.Now().UTC().Truncate(24 * time.Hour)
		if trend, err = s.SecurityDays(today.AddDate(0, 0, 1-days)); err != nil {
			return err
		}
		counts, err := s.CountSecurity()
		if n := len(trend); n > 0 && trend[n-1].Day.Equal(today) {
			trend = trend[:n-1]
		}
		if counts.Scanned > 0 {
			trend = append(trend, SecurityDay{Day: today, SecurityCounts: counts})
		}
		return err
	})
	return trend, err
}

// KeepSecurityDay keeps what is known of all images now as that of today, once
// something is. No caller is asked for its rights.
func (a *App) KeepSecurityDay(ctx context.Context) error {
	return a.update(ctx, itself, func(s *session) error {
		counts, err := s.CountSecurity()
		if err != nil || counts.Scanned == 0 {
			return err
		}
		if err := s.TrimSecurityDays(s.Now().AddDate(0, 0, -MaxTrendDays)); err != nil {
			return err
		}
		return s.Tx.KeepSecurityDay(counts)
	})
}
