package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// scanBatch is how many images one read of a long run takes.
	scanBatch = 100
	// maxHolders is in how many repositories an image that got worse is told of.
	maxHolders = 100
)

// ScanProgress is how far a job that scans has come.
type ScanProgress struct {
	Total       int64 `json:"total"`
	Done        int64 `json:"done"`
	Success     int64 `json:"success"`
	Error       int64 `json:"error"`
	Unscannable int64 `json:"unscannable"`
	Changed     int64 `json:"changed"` // found more or less than before
}

// count adds one image.
func (p *ScanProgress) count(status core.ScanStatus, changed bool) {
	p.Done++
	switch status {
	case core.ScanSuccess:
		p.Success++
	case core.ScanUnscannable:
		p.Unscannable++
	default:
		p.Error++
	}
	if changed {
		p.Changed++
	}
}

// RunScan does the work of a job of the kinds that scan. It acts with the
// rights of the registry itself. report is told of every image that is done.
// One that fails is counted and does not end the run; interrupted, a run
// begins anew. Its error is that of ctx or of the scanner itself.
func (a *App) RunScan(ctx context.Context, job core.Job, report func(progress ScanProgress, line string)) error {
	engine, err := a.scanning()
	if err != nil {
		return err
	}
	run := scanRun{app: a, engine: engine, report: report}
	switch job.Kind {
	case JobScan, JobScanPull:
		return run.one(ctx, job)
	case JobRematch:
		err = run.rematch(ctx)
	default:
		err = run.many(ctx, job)
	}
	if err != nil {
		return err
	}
	return a.KeepSecurityDay(ctx)
}

type scanRun struct {
	app      *App
	engine   Scanner
	report   func(ScanProgress, string)
	progress ScanProgress
}

// one scans the image of the job, or the images in its index.
func (r *scanRun) one(ctx context.Context, job core.Job) error {
	var wanted imageToScan
	if err := json.Unmarshal([]byte(job.Parameters), &wanted); err != nil {
		return fmt.Errorf("parameters of job %d: %w", job.ID, err)
	}
	digests, err := r.app.imagesIn(ctx, wanted.Digest)
	if err != nil {
		return err
	}
	r.progress.Total = int64(len(digests))
	for _, digest := range digests {
		if job.Trigger == core.JobTriggerEvent && r.app.wasScanned(ctx, digest) {
			continue // by another job that the same event had queued
		}
		if err := r.scan(ctx, digest); err != nil {
			return err
		}
	}
	if failed := r.progress.Error; failed > 0 {
		return core.Errorf(core.CodeUnavailable, "%d of %d images could not be scanned; the log of this job tells why", failed, r.progress.Total)
	}
	return nil
}

// wasScanned says whether a scan of the image has succeeded.
func (a *App) wasScanned(ctx context.Context, digest string) (scanned bool) {
	_ = a.store.View(ctx, func(tx *store.Tx) error { // at worst it is scanned again
		facts, err := tx.ScanFacts(digest)
		scanned = facts[digest].Status == core.ScanSuccess
		return err
	})
	return scanned
}

// imagesIn returns the image with that digest, or those of the index with it.
func (a *App) imagesIn(ctx context.Context, digest string) (digests []string, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.ArtifactsByDigest(digest, 1)
		if err != nil || len(found) == 0 {
			return err // it was deleted meanwhile
		}
		facts, err := tx.ManifestPullFacts(found[0].ID, false)
		if err == nil {
			for _, image := range imagesWithin(facts) {
				digests = append(digests, image.Digest)
			}
		}
		return err
	})
	return digests, err
}

// imagesWithin lists the images of an index, or the one that there is.
func imagesWithin(f store.PullFacts) (images []core.ReportedImage) {
	if !f.Index {
		if f.Kind == core.KindImage {
			return []core.ReportedImage{{Digest: f.Digest, Platform: f.Platform}}
		}
		return nil
	}
	for _, child := range f.Children {
		if runsNowhere(child.Platform) {
			continue
		}
		images = append(images, imagesWithin(child)...)
	}
	return images
}

// many scans all images of a project, of a repository or of the registry.
func (r *scanRun) many(ctx context.Context, job core.Job) error {
	var selection store.ImageSelection
	err := r.app.store.View(ctx, func(tx *store.Tx) (err error) {
		if selection, err = selectImages(tx, job); err == nil {
			r.progress.Total, err = tx.CountImages(selection)
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.batches(ctx, func(tx *store.Tx, after string) ([]string, error) {
		return tx.ImagesToScan(selection, after, scanBatch)
	}, r.scan)
}

func selectImages(tx *store.Tx, job core.Job) (store.ImageSelection, error) {
	selection := store.ImageSelection{ProjectID: job.Target}
	if job.Kind == JobScanAll {
		return store.ImageSelection{}, nil
	}
	var wanted imagesToScan
	if err := json.Unmarshal([]byte(job.Parameters), &wanted); err != nil {
		return selection, fmt.Errorf("parameters of job %d: %w", job.ID, err)
	}
	if wanted.Repository == "" {
		return selection, nil
	}
	repo, err := tx.RepositoryByName(wanted.Repository)
	selection.RepositoryID = repo.ID
	return selection, err
}

// batches does something with every digest that next lists, in its order.
func (r *scanRun) batches(ctx context.Context, next func(*store.Tx, string) ([]string, error), do func(context.Context, string) error) error {
	after := ""
	for {
		var digests []string
		err := r.app.store.View(ctx, func(tx *store.Tx) (err error) {
			digests, err = next(tx, after)
			return err
		})
		if err != nil || len(digests) == 0 {
			return err
		}
		for _, digest := range digests {
			if err := do(ctx, digest); err != nil {
				return err
			}
		}
		after = digests[len(digests)-1]
	}
}

// rematch matches what was scanned before with the data of today, once what no
// repository has any more is forgotten.
func (r *scanRun) rematch(ctx context.Context) error {
	if err := r.app.PruneScans(ctx); err != nil {
		return err
	}
	return r.engine.Rematch(ctx, func(ctx context.Context, fact core.ScanFact) error {
		return r.keep(ctx, fact, false)
	}, func(done, total int) {
		r.progress.Done, r.progress.Total = int64(done), int64(total)
		r.report(r.progress, "")
	})
}

// PruneScans has the scanner forget the images that no repository has any more.
// No caller is asked for its rights.
func (a *App) PruneScans(ctx context.Context) error {
	if a.scanner == nil {
		return nil
	}
	return a.scanner.Prune(ctx, func(ctx context.Context, digests []string) (gone []string, err error) {
		err = a.store.View(ctx, func(tx *store.Tx) error {
			gone, err = tx.Unused(digests)
			return err
		})
		return gone, err
	})
}

// scan scans one image and keeps what was found.
func (r *scanRun) scan(ctx context.Context, digest string) error {
	image, problem, err := r.app.imageOf(ctx, digest)
	if core.IsNotFound(err) {
		return nil // it was deleted meanwhile
	}
	if err != nil {
		return err
	}
	if problem != "" {
		return r.keep(ctx, core.ScanFact{Digest: digest, Status: core.ScanUnscannable, Message: problem}, true)
	}
	fact, err := r.engine.Scan(ctx, image)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.app.log.Error("the scanner failed", "digest", digest, "error", err)
		fact = core.ScanFact{Digest: digest, Status: core.ScanError, Message: core.ErrorMessage(err)}
	}
	return r.keep(ctx, fact, true)
}

// keep writes what is known of an image now, and tells of it. What an asked for
// scan found is always written, as its time; else only what is new.
func (r *scanRun) keep(ctx context.Context, fact core.ScanFact, asked bool) error {
	changed, err := r.app.recordScan(ctx, fact, asked)
	if err != nil {
		return err
	}
	r.progress.count(fact.Status, changed)
	line := fmt.Sprintf("%s: %s", fact.Digest, describeScan(fact))
	if !asked && !changed {
		line = ""
	}
	r.report(r.progress, line)
	return nil
}

// maxManifest bounds how much of a manifest is read for its layers, in bytes;
// the registry takes no larger one.
const maxManifest = 4 << 20

// imageOf returns where the layers of an image are, or why it cannot be
// scanned. CodeNotFound when no repository has it.
func (a *App) imageOf(ctx context.Context, digest string) (image core.ScanImage, problem string, err error) {
	image.Digest = digest
	var own core.Artifact
	err = a.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.ArtifactsByDigest(digest, 1)
		if err == nil && len(found) == 0 {
			err = store.ErrNoRow
		}
		if err == nil {
			own = found[0]
		}
		return err
	})
	if err != nil {
		return image, "", a.result(itself, err)
	}
	text, err := a.content.ReadBlob(ctx, own.Blob, maxManifest)
	if err != nil {
		return image, "", err
	}
	var manifest struct {
		Layers []core.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return image, "its manifest cannot be read", nil
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		for _, layer := range manifest.Layers {
			_, err := tx.LiveBlob(layer.Digest)
			if errors.Is(err, store.ErrNoRow) {
				problem = "its layer " + layer.Digest + " is not in this registry"
				return nil
			}
			if err != nil {
				return err
			}
			image.Layers = append(image.Layers, layer.Digest)
		}
		return nil
	})
	return image, problem, err
}

// describeScan tells in one line what a scan found.
func describeScan(f core.ScanFact) string {
	if f.Status != core.ScanSuccess {
		return string(f.Status) + ": " + core.Clip(f.Message, 500)
	}
	counts := map[core.Severity]int{}
	for _, finding := range f.Findings {
		counts[finding.Severity]++
	}
	text := "no vulnerabilities"
	for i, s := range core.Severities() {
		if n := counts[s]; n > 0 {
			if i == 0 || text == "no vulnerabilities" {
				text = ""
			} else {
				text += ", "
			}
			text += fmt.Sprintf("%d %s", n, s)
		}
	}
	return text
}
