package vulndb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/libvuln/driver"

	"github.com/breakwater-registry/breakwater/scanner/dbfile"
)

// UpdateEnrichments implements datastore.EnrichmentUpdater.
func (s *Store) UpdateEnrichments(ctx context.Context, updater string, fingerprint driver.Fingerprint, records []driver.EnrichmentRecord) (uuid.UUID, error) {
	return s.UpdateEnrichmentsIter(ctx, updater, fingerprint, func(yield func(*driver.EnrichmentRecord, error) bool) {
		for i := range records {
			if !yield(&records[i], nil) {
				return
			}
		}
	})
}

// UpdateEnrichmentsIter implements datastore.EnrichmentUpdater. An error of the
// iterator undoes the whole update.
func (s *Store) UpdateEnrichmentsIter(ctx context.Context, updater string, fingerprint driver.Fingerprint, records datastore.EnrichmentIter) (uuid.UUID, error) {
	im, end, err := s.begin(ctx, enrichmentRows, updater, fingerprint)
	if err != nil {
		return uuid.Nil, fmt.Errorf("begin update of %s: %w", updater, err)
	}
	defer end()
	if err = im.enrichments(ctx, records); err == nil {
		err = im.show(ctx)
	}
	if err != nil {
		return uuid.Nil, im.undo(fmt.Errorf("update of %s: %w", updater, err))
	}
	return im.ref, nil
}

// enrichments writes all that an update brings; only show is left to do.
func (im *importing) enrichments(ctx context.Context, records datastore.EnrichmentIter) error {
	err := batches(records, usableEnrichment, func() { im.pace(ctx) }, func(batch []*driver.EnrichmentRecord) error {
		return im.write(ctx, len(batch), func(c *dbfile.Conn, i int) error { return im.putEnrichment(c, batch[i]) })
	})
	if err != nil {
		return err
	}
	return im.finish(ctx, im.goneRows)
}

// usableEnrichment is false for the empty record with which claircore's parsers
// end, and for what nothing could ever ask for.
func usableEnrichment(r *driver.EnrichmentRecord) bool {
	return r != nil && len(r.Tags) > 0 && len(r.Enrichment) > 0
}

func (im *importing) putEnrichment(c *dbfile.Conn, r *driver.EnrichmentRecord) error {
	tags := slices.Compact(slices.Sorted(slices.Values(r.Tags)))
	im.intern.hasher.text(string(r.Enrichment))
	im.intern.hasher.text(tags...)
	key := im.intern.hasher.sum()
	return im.put(c, key, func() (int64, error) {
		list, err := json.Marshal(tags)
		if err != nil {
			return 0, err
		}
		id, err := c.Insert(`INSERT INTO enrichment (hash, stream, tags, data, first_op) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			key[:], im.stream, string(list), string(r.Enrichment), im.op)
		if err != nil || id == 0 {
			return 0, err
		}
		for _, tag := range tags {
			if _, err := c.Exec(`INSERT INTO enrichment_tag (tag, enrichment) VALUES (?, ?)`, tag, id); err != nil {
				return 0, err
			}
		}
		return id, nil
	})
}

// forgetTags removes the tags of enrichments.
func forgetTags(c *dbfile.Conn, ids []int64, pace func()) error {
	for _, id := range ids {
		pace()
		if _, err := c.Exec(`DELETE FROM enrichment_tag WHERE enrichment = ?1 AND tag IN
			(SELECT value FROM json_each((SELECT tags FROM enrichment WHERE id = ?1)))`, id); err != nil {
			return err
		}
	}
	return nil
}

const selectEnrichment = `SELECT v.tags, v.data FROM enrichment_tag t JOIN enrichment v ON v.id = t.enrichment JOIN stream s ON s.id = v.stream
	WHERE t.tag = ? AND s.name = ? AND s.kind = 'enrichment' AND v.first_op <= s.latest AND (v.end_op IS NULL OR v.end_op > s.latest) ORDER BY v.id LIMIT 1`

// GetEnrichment implements datastore.Enrichment: at most one record that has
// one of the tags. claircore asks once for each vulnerability.
func (s *Store) GetEnrichment(ctx context.Context, updater string, tags []string) ([]driver.EnrichmentRecord, error) {
	found := []driver.EnrichmentRecord{}
	err := s.file.Look(ctx, func(c *dbfile.Conn) error {
		for _, tag := range tags {
			r, err := enrichment(c, updater, tag)
			if err == nil {
				found = append(found, r)
			}
			if !errors.Is(err, dbfile.ErrNoRow) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", updater, err)
	}
	return found, nil
}

// enrichment reads the record of one tag; dbfile.ErrNoRow when there is none.
func enrichment(c *dbfile.Conn, updater, tag string) (r driver.EnrichmentRecord, err error) {
	var list, data string
	if err := c.Get(selectEnrichment, []any{tag, updater}, &list, &data); err != nil {
		return r, err
	}
	r.Enrichment = json.RawMessage(data)
	return r, json.Unmarshal([]byte(list), &r.Tags)
}

// Enrichments returns a record for each of the tags that have one.
func (s *Store) Enrichments(ctx context.Context, updater string, tags []string) (map[string]driver.EnrichmentRecord, error) {
	found := make(map[string]driver.EnrichmentRecord, len(tags))
	err := s.file.Read(ctx, func(c *dbfile.Conn) error {
		for _, tag := range tags {
			r, err := enrichment(c, updater, tag)
			if errors.Is(err, dbfile.ErrNoRow) {
				continue
			}
			if err != nil {
				return err
			}
			found[tag] = r
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", updater, err)
	}
	return found, nil
}
