package store

import (
	"encoding/json"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const feedColumns = `name, enabled, urls, attempted_at, succeeded_at, changed_at, origin, error,
	(SELECT COALESCE(SUM(records), 0) FROM feed_part WHERE feed_part.feed = feed.name)`

func scanFeed(row scanner) (core.Feed, error) {
	var f core.Feed
	var urls string
	var attempted, succeeded, changed int64
	if err := row.Scan(&f.Name, &f.Enabled, &urls, &attempted, &succeeded, &changed, &f.Origin, &f.Error, &f.Records); err != nil {
		return f, err
	}
	f.AttemptedAt, f.SucceededAt, f.ChangedAt = at(attempted), at(succeeded), at(changed)
	if err := json.Unmarshal([]byte(urls), &f.URLs); err != nil {
		return f, fmt.Errorf("addresses of the feed %s: %w", f.Name, err)
	}
	return f, nil
}

// Feeds returns the feeds that have a row, in the order of their names, without
// what core.FeedSet says of them.
func (tx *Tx) Feeds() ([]core.Feed, error) {
	return list(tx, `SELECT `+feedColumns+` FROM feed ORDER BY name`, nil, scanFeed)
}

// Feed returns one feed as Feeds does; ErrNoRow when it has no row.
func (tx *Tx) Feed(name string) (core.Feed, error) {
	return one(tx, `SELECT `+feedColumns+` FROM feed WHERE name = $1`, []any{name}, scanFeed)
}

// SetFeed writes the settings and the state of a feed.
func (tx *Tx) SetFeed(f core.Feed) error {
	urls, err := json.Marshal(f.URLs)
	if err != nil {
		return fmt.Errorf("addresses of the feed %s: %w", f.Name, err)
	}
	if f.URLs == nil {
		urls = []byte("{}")
	}
	_, err = tx.exec(`INSERT INTO feed (name, enabled, urls, attempted_at, succeeded_at, changed_at, origin, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled, urls = excluded.urls, attempted_at = excluded.attempted_at,
			succeeded_at = excluded.succeeded_at, changed_at = excluded.changed_at, origin = excluded.origin, error = excluded.error`,
		f.Name, f.Enabled, string(urls), micros(f.AttemptedAt), micros(f.SucceededAt), micros(f.ChangedAt), string(f.Origin), f.Error)
	return err
}

func scanFeedPart(row scanner) (core.FeedPart, error) {
	var p core.FeedPart
	var attempted, succeeded, changed int64
	err := row.Scan(&p.Name, &p.Records, &attempted, &succeeded, &changed, &p.Fingerprint, &p.Error)
	p.AttemptedAt, p.SucceededAt, p.ChangedAt = at(attempted), at(succeeded), at(changed)
	return p, err
}

// FeedParts returns the parts of a feed in the order of their names.
func (tx *Tx) FeedParts(feed string) ([]core.FeedPart, error) {
	return list(tx, `SELECT name, records, attempted_at, succeeded_at, changed_at, fingerprint, error
		FROM feed_part WHERE feed = $1 ORDER BY name`, []any{feed}, scanFeedPart)
}

// SetFeedPart writes the state of a part.
func (tx *Tx) SetFeedPart(feed string, p core.FeedPart) error {
	_, err := tx.exec(`INSERT INTO feed_part (feed, name, records, attempted_at, succeeded_at, changed_at, fingerprint, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (feed, name) DO UPDATE SET records = excluded.records, attempted_at = excluded.attempted_at,
			succeeded_at = excluded.succeeded_at, changed_at = excluded.changed_at, fingerprint = excluded.fingerprint, error = excluded.error`,
		feed, p.Name, p.Records, micros(p.AttemptedAt), micros(p.SucceededAt), micros(p.ChangedAt), p.Fingerprint, p.Error)
	return err
}
