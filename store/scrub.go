package store

import (
	"fmt"
	"strconv"
	"time"
)

// Settings that no administrator sees: how far the background check of the
// blobs is.
const (
	scrubPositionKey = "scrub_position"
	scrubEndedKey    = "scrub_ended"
)

// Scrub is how far the background check of the blobs is.
type Scrub struct {
	Position int64     // id of the last blob of this pass, 0 before the first
	Ended    time.Time // when the last pass ended or, before that, the database was made
}

// Scrub returns how far the background check of the blobs is.
func (tx *Tx) Scrub() (s Scrub, err error) {
	if s.Position, err = tx.number(scrubPositionKey); err != nil {
		return s, err
	}
	ended, err := tx.number(scrubEndedKey)
	if err != nil || ended > 0 {
		s.Ended = at(ended)
		return s, err
	}
	s.Ended, err = tx.CreatedAt()
	return s, err
}

// number reads a setting that is a number, 0 where it was never written.
func (tx *Tx) number(key string) (n int64, err error) {
	var text string
	err = tx.get(`SELECT value FROM setting WHERE key = $1`, []any{key}, &text)
	if err == ErrNoRow {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, fmt.Errorf("the setting %s: %w", key, err)
	}
	return n, nil
}

// SetScrubPosition keeps the last blob that was checked in this pass.
func (tx *Tx) SetScrubPosition(id int64) error {
	return tx.SetSetting(scrubPositionKey, strconv.FormatInt(id, 10))
}

// EndScrub notes that a pass ended now.
func (tx *Tx) EndScrub() error {
	if err := tx.SetScrubPosition(0); err != nil {
		return err
	}
	return tx.SetSetting(scrubEndedKey, strconv.FormatInt(micros(tx.now), 10))
}
