package feeds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Batch is several updates of the database that readers see at one moment, or
// never.
type Batch interface {
	UpdateVulnerabilitiesIter(ctx context.Context, updater string, f driver.Fingerprint, rows datastore.VulnerabilityIter) (uuid.UUID, error)
	UpdateEnrichmentsIter(ctx context.Context, updater string, f driver.Fingerprint, rows datastore.EnrichmentIter) (uuid.UUID, error)
	// Commit shows all updates.
	Commit(ctx context.Context) error
	// Rollback takes back what was not committed; after Commit it does nothing.
	Rollback() error
}

// Importer reads bundles into a database.
type Importer struct {
	// Begin begins a batch.
	Begin    func(ctx context.Context) (Batch, error)
	Mappings Mappings
	// Room says why nothing more may be written to the disk.
	Room func() error
	// Pace is called while the file is checked, for every line, and may wait; nil:
	// nobody else needs the machine.
	Pace func(ctx context.Context)
	Log  *slog.Logger
}

// Import reads the file at path into the database: all of it or nothing. The
// file is read twice, the first time to check it. Parts that no feed has are
// left out, and told to note.
func (im *Importer) Import(ctx context.Context, path string, report func(Progress), note func(string)) ([]core.FeedResult, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	run := &importRun{Importer: im, watch: newWatch(report), note: note, done: map[string]bool{}, mappings: map[string][]byte{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer (&Runner{Room: im.Room}).watchRoom(ctx, cancel)()
	run.watch.set(func(p *Progress) { *p = Progress{Step: StepCheck, Size: info.Size()} })
	checked, err := run.check(ctx, path)
	if err != nil {
		return nil, cause(ctx, err)
	}
	run.watch.set(func(p *Progress) { *p = Progress{Step: StepWrite, Size: info.Size(), Total: len(checked.parts)} })
	if err := run.write(ctx, path); err != nil {
		return nil, cause(ctx, err)
	}
	return run.results(checked), nil
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// importRun is one Import.
type importRun struct {
	*Importer
	watch    *watch
	note     func(string)
	done     map[string]bool // parts, by kind and name
	mappings map[string][]byte
	parts    []importedPart
	held     []byte // a line that was read and belongs to the next part
}

type importedPart struct {
	feed, name  string
	fingerprint driver.Fingerprint
	date        time.Time
	records     int64
}

func (r *importRun) open(path string, visit visitor) (*bundleReader, error) {
	return openBundle(path, func(n int) { r.watch.received(n) }, visit)
}

// checked is what is known of a file after it was read once.
type checked struct {
	parts map[uuid.UUID]int64 // records
	last  manifest            // without clairctl's
}

// check reads the file to its end without using it.
func (r *importRun) check(ctx context.Context, path string) (result checked, err error) {
	bundle, err := r.open(path, visitor{})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, bundle.Close()) }()
	result.parts = map[uuid.UUID]int64{}
	for {
		text, err := bundle.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = checkLine(text, result.parts)
		}
		if r.Pace != nil {
			r.Pace(ctx)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return result, err
		}
	}
	if bundle.last == nil {
		if len(result.parts) == 0 {
			return result, errNoBundle
		}
		return result, nil
	}
	for _, part := range bundle.last.Parts {
		if result.parts[part.Ref] != part.Records {
			return result, broken(fmt.Errorf("%s has %d records, and %d by its manifest", part.Name, result.parts[part.Ref], part.Records))
		}
	}
	result.last = *bundle.last
	return result, nil
}

func checkLine(text []byte, parts map[uuid.UUID]int64) error {
	var head lineHead
	if err := json.Unmarshal(text, &head); err != nil {
		return broken(fmt.Errorf("a line is no JSON: %w", err))
	}
	wanted := head.Vuln
	if head.Kind == driver.EnrichmentKind {
		wanted = head.Enrichment
	}
	if head.Updater == "" || head.Ref == uuid.Nil || (head.Kind != driver.VulnerabilityKind && head.Kind != driver.EnrichmentKind) || len(wanted) == 0 {
		return errNoBundle
	}
	parts[head.Ref]++
	return nil
}

// write reads the file into the database.
func (r *importRun) write(ctx context.Context, path string) (err error) {
	keep := func(name string, content []byte) error { r.mappings[name] = bytes.Clone(content); return nil }
	bundle, err := r.open(path, visitor{mapping: keep})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bundle.Close()) }()
	batch, err := r.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Rollback()) }()
	for {
		first, err := r.line(bundle)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.part(ctx, batch, bundle, first)
		}
		if err != nil {
			return err
		}
	}
	if err := r.setMappings(ctx); err != nil {
		return err
	}
	return batch.Commit(ctx)
}

// setMappings puts Red Hat's files in place. They say nothing of
// vulnerabilities, and do no harm when the batch then fails.
func (r *importRun) setMappings(ctx context.Context) error {
	for _, name := range mappingNames {
		content, ok := r.mappings[name]
		if !ok {
			continue
		}
		if _, err := r.Mappings.SetMapping(ctx, name, content); err != nil {
			return err
		}
		n, err := checkMapping(name, content)
		if err != nil {
			return err
		}
		if last := len(r.parts) - 1; last >= 0 && r.parts[last].name == mappingsPart {
			r.parts[last].records += n
			continue
		}
		r.parts = append(r.parts, importedPart{feed: "redhat", name: mappingsPart, records: n})
	}
	return nil
}

// line returns the next line, which may have been read before.
func (r *importRun) line(bundle *bundleReader) (l line, err error) {
	text := r.held
	if r.held = nil; text == nil {
		if text, err = bundle.next(); err != nil {
			return l, err
		}
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, broken(err)
	}
	return l, nil
}

// part imports the part that begins with first.
func (r *importRun) part(ctx context.Context, batch Batch, bundle *bundleReader, first line) error {
	feed, key := feedOf(first.Updater), string(first.Kind)+" "+first.Updater
	if r.done[key] {
		return core.Errorf(core.CodeBadRequest, "the bundle has the data of %s twice; export it again", first.Updater)
	}
	r.done[key] = true
	part := importedPart{feed: feed, name: first.Updater, fingerprint: first.Fingerprint, date: first.Date}
	r.watch.set(func(p *Progress) { p.Feed, p.Part, p.Records = feed, first.Updater, 0 })
	var err error
	switch {
	case feed == "":
		r.note(fmt.Sprintf("the data of %s is left out: no feed has it", core.Clip(first.Updater, 64)))
		eachLine(ctx, r, bundle, first, &part, func(line) struct{} { return struct{}{} }, func(_ struct{}, failure error) bool { err = failure; return failure == nil })
		return err
	case first.Kind == driver.EnrichmentKind:
		_, err = batch.UpdateEnrichmentsIter(ctx, first.Updater, first.Fingerprint, func(yield func(*driver.EnrichmentRecord, error) bool) {
			eachLine(ctx, r, bundle, first, &part, func(l line) *driver.EnrichmentRecord { return l.Enrichment }, yield)
		})
	default:
		_, err = batch.UpdateVulnerabilitiesIter(ctx, first.Updater, first.Fingerprint, func(yield func(*claircore.Vulnerability, error) bool) {
			eachLine(ctx, r, bundle, first, &part, func(l line) *claircore.Vulnerability { return l.Vuln }, yield)
		})
	}
	if err != nil {
		return err
	}
	r.parts = append(r.parts, part)
	r.watch.set(func(p *Progress) { p.Done++ })
	r.Log.Info("CVE feed imported", "feed", feed, "part", part.name, "records", part.records, "date", part.date)
	return nil
}

// eachLine yields the records of the part that begins with first.
func eachLine[T any](ctx context.Context, r *importRun, bundle *bundleReader, first line, part *importedPart, pick func(line) T, yield func(T, error) bool) {
	prefix := newSamePart(first)
	for l := first; ; {
		part.records++
		r.watch.count(func(p *Progress) { p.Records, p.Imported = part.records, p.Imported+1 })
		if !yield(pick(l), ctx.Err()) || ctx.Err() != nil {
			return
		}
		text, err := bundle.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && !prefix.has(text) {
			r.held = bytes.Clone(text)
			return
		}
		l = line{}
		if err == nil {
			if err = json.Unmarshal(text, &l); err != nil {
				err = broken(err)
			}
		}
		if err != nil {
			var none T
			yield(none, err)
			return
		}
	}
}

// samePart recognises the lines of a part without reading them whole.
type samePart struct{ ref []byte }

func newSamePart(l line) samePart { return samePart{[]byte(`"Ref":"` + l.Ref.String() + `"`)} }

func (s samePart) has(text []byte) bool { return bytes.Contains(text, s.ref) }

// results says of each feed what was imported.
func (r *importRun) results(file checked) []core.FeedResult {
	var all []core.FeedResult
	of := func(feed string) *core.FeedResult {
		for i := range all {
			if all[i].Feed == feed {
				return &all[i]
			}
		}
		all = append(all, core.FeedResult{Feed: feed, Origin: core.FeedImported})
		return &all[len(all)-1]
	}
	for _, part := range r.parts {
		result := of(part.feed)
		result.Parts = append(result.Parts, core.FeedPartResult{Name: part.name, Changed: true, Records: part.records, Fingerprint: string(part.fingerprint)})
		if !part.date.IsZero() && (result.ReadAt.IsZero() || part.date.Before(result.ReadAt)) {
			result.ReadAt = part.date
		}
	}
	for _, part := range file.last.Parts {
		if _, err := core.FindFeedSet(part.Feed); err == nil && part.Records == 0 {
			result := of(part.Feed)
			result.Parts = append(result.Parts, core.FeedPartResult{Name: part.Name})
		}
	}
	for _, f := range file.last.Failed {
		if _, err := core.FindFeedSet(f.Feed); err != nil {
			continue
		}
		text := core.Clip("not exported: "+f.Error, maxError)
		if result := of(f.Feed); f.Name == "" {
			result.Error = text
		} else {
			result.Parts = append(result.Parts, core.FeedPartResult{Name: f.Name, Error: text})
		}
	}
	return all
}
