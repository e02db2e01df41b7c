package fsck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/store"
)

// Scrubber reads all blobs again while the registry runs, slowly, and sets
// aside what is damaged.
type Scrubber struct {
	checks app.Checks
	blobs  *blobs.FileStore
	log    *slog.Logger
}

// NewScrubber makes a Scrubber.
func NewScrubber(a *app.App, files *blobs.FileStore, log *slog.Logger) *Scrubber {
	return &Scrubber{checks: a.Checks(), blobs: files, log: log}
}

// Scrubbed is what a pass has seen since it was started or taken up again.
type Scrubbed struct {
	Blobs      int64 `json:"blobs"`
	Bytes      int64 `json:"bytes"`
	Damaged    int64 `json:"damaged"`
	Healed     int64 `json:"healed"`     // were marked as damaged, and are whole
	Unreadable int64 `json:"unreadable"` // the disk refused; fsck --repair judges them
}

// Reporter is told how a pass goes; *jobs.Run is one.
type Reporter interface {
	Progress(v any)
	Logf(format string, args ...any)
}

var errOff = errors.New("switched off")

// pass is one run of a Scrubber.
type pass struct {
	*Scrubber
	report  Reporter
	limiter *rate.Limiter
	result  Scrubbed
}

// Run goes on where the last pass was interrupted, or begins a new one, and
// reads at the rate of the settings, which may change meanwhile. When they
// switch it off it ends without error, to go on later.
func (s *Scrubber) Run(ctx context.Context, report Reporter) (Scrubbed, error) {
	p := &pass{Scrubber: s, report: report, limiter: rate.NewLimiter(0, blobs.MaxPart)}
	p.limiter.AllowN(time.Now(), blobs.MaxPart) // nothing is saved up
	err := p.run(ctx)
	if errors.Is(err, errOff) {
		report.Logf("switched off; it goes on where it was when scrub_rate is set again")
		err = nil
	}
	report.Logf("%d blobs with %d bytes read: %d damaged, %d unreadable, %d healed",
		p.result.Blobs, p.result.Bytes, p.result.Damaged, p.result.Unreadable, p.result.Healed)
	return p.result, err
}

func (p *pass) run(ctx context.Context) error {
	after, err := p.checks.ScrubPosition(ctx)
	if err != nil {
		return err
	}
	for {
		page, err := p.checks.Blobs(ctx, after)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return p.checks.EndScrub(ctx)
		}
		for _, b := range page {
			if err := p.blob(ctx, b); err != nil {
				return errors.Join(err, p.keep(ctx, after))
			}
			after = b.ID
		}
		if err := p.keep(ctx, after); err != nil {
			return err
		}
	}
}

// keep writes down how far it is, although ctx may be done.
func (p *pass) keep(ctx context.Context, after int64) error {
	return p.checks.SetScrubPosition(context.WithoutCancel(ctx), after)
}

// pace waits until the next part may be read. A short one costs as much as a
// long one: it takes the disk about as long to find.
func (p *pass) pace(ctx context.Context, _ int) error {
	speed := p.checks.ScrubRate()
	if speed == 0 {
		return errOff
	}
	if rate.Limit(speed) != p.limiter.Limit() {
		p.limiter.SetLimit(rate.Limit(speed))
	}
	return p.limiter.WaitN(ctx, blobs.MaxPart)
}

func (p *pass) blob(ctx context.Context, b store.CheckedBlob) error {
	found, err := inspect(ctx, p.blobs, b, p.pace)
	if err != nil {
		return err
	}
	p.result.Blobs++
	p.result.Bytes += found.Size
	defer func() { p.report.Progress(p.result) }()
	switch {
	case found.Whole() && b.Damaged:
		p.result.Healed++
		b.Size = found.Size
		p.report.Logf("%s was marked as damaged and is whole", b.Digest)
		return p.checks.MarkWhole(ctx, b.Blob, "verified: its file is whole again")
	case found.Whole() || b.Damaged:
		return nil
	case found.Unreadable:
		// The whole disk may be failing: a restart could cure it.
		p.result.Unreadable++
		p.tell(b, found)
		return nil
	}
	return p.damaged(ctx, b, found)
}

func (p *pass) tell(b store.CheckedBlob, found blobs.Finding) {
	p.report.Logf("%s: %s", b.Digest, found.Fault)
	p.log.Error("a stored blob is damaged; breakwater fsck tells which images need it", "blob", b.Digest, "fault", found.Fault)
}

func (p *pass) damaged(ctx context.Context, b store.CheckedBlob, found blobs.Finding) error {
	current, err := p.checks.IsCurrent(ctx, b)
	if err != nil || !current {
		return err // it was collected meanwhile
	}
	p.result.Damaged++
	p.tell(b, found)
	done, err := SetAside(ctx, p.checks, p.blobs, b, found)
	if err != nil {
		return fmt.Errorf("set %s aside: %w", b.Digest, err)
	}
	p.report.Logf("%s: %s", b.Digest, done)
	return nil
}
