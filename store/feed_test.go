package store_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func TestFeedsKeepTheirState(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		feed := core.Feed{FeedSet: core.FeedSet{Name: "debian"}, Enabled: true, URLs: map[string]string{"tracker": "https://mirror.example/json"},
			Origin: core.FeedImported, Error: "1 of 2 parts failed"}
		part := core.FeedPart{Name: "debian/updater", Records: 7, Fingerprint: "x"}
		update(t, s, func(tx *store.Tx) error {
			if _, err := tx.Feed("debian"); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("a feed without a row: %v", err)
			}
			now := tx.Now()
			feed.AttemptedAt, part.AttemptedAt, part.SucceededAt, part.ChangedAt = now, now, now, now
			return errors.Join(tx.SetFeed(core.Feed{FeedSet: feed.FeedSet}), tx.SetFeed(feed),
				tx.SetFeedPart("debian", core.FeedPart{Name: "other", Records: 5}), tx.SetFeedPart("debian", part), tx.SetFeedPart("ubuntu", part))
		})
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.Feed("debian")
			if err != nil {
				return err
			}
			if found.Records != 12 || found.AttemptedAt.UnixMicro() != feed.AttemptedAt.UnixMicro() || !found.SucceededAt.IsZero() {
				t.Errorf("feed = %+v", found)
			}
			feed.Records, feed.AttemptedAt = found.Records, found.AttemptedAt
			if all, err := tx.Feeds(); err != nil || !reflect.DeepEqual(all, []core.Feed{feed}) {
				t.Errorf("Feeds = %+v, %v; want %+v", all, err, feed)
			}
			parts, err := tx.FeedParts("debian")
			if len(parts) != 2 || parts[0].Name != "debian/updater" || parts[0].Records != 7 || parts[0].ChangedAt.IsZero() || parts[0].Fingerprint != "x" {
				t.Errorf("FeedParts = %+v", parts)
			}
			return err
		})
	})
}
