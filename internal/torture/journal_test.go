package torture_test

import (
	"fmt"
	"maps"
	"path/filepath"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
)

// checkJournal replays the journal and compares what it makes with what the
// server shows: were the database lost, the journal would bring the same back.
func (tt *torture) checkJournal() error {
	replayed := map[string]state{}
	err := journal.Replay(filepath.Join(tt.srv.Data, "journal"), func(e core.JournalEntry) error {
		return replay(replayed, e)
	})
	if err != nil {
		return err
	}
	for _, w := range tt.workers {
		now, got := w.repo.now(), replayed[w.repo.name]
		if !maps.Equal(now.tags, got.tags) {
			return fmt.Errorf("%s has the tags %v, by the journal %v", w.repo.name, now.tags, got.tags)
		}
		for digest := range now.images {
			if _, ok := got.images[digest]; !ok {
				return fmt.Errorf("%s has %s, the journal does not", w.repo.name, digest)
			}
		}
		for digest := range got.images {
			if _, ok := now.images[digest]; !ok {
				return fmt.Errorf("%s does not have %s, the journal does", w.repo.name, digest)
			}
		}
	}
	return nil
}

func replay(all map[string]state, e core.JournalEntry) error {
	if _, ok := all[e.Repository]; !ok {
		all[e.Repository] = state{map[string]string{}, map[string]*image{}}
	}
	s := all[e.Repository]
	switch e.Op {
	case core.JournalPutRepository:
	case core.JournalDeleteRepository:
		delete(all, e.Repository)
	case core.JournalPutManifest:
		s.images[e.Digest] = nil
	case core.JournalDeleteManifest:
		delete(s.images, e.Digest)
	case core.JournalPutTag:
		s.tags[e.Tag] = e.Digest
	case core.JournalDeleteTag:
		delete(s.tags, e.Tag)
	default:
		return fmt.Errorf("the journal has an entry %q", e.Op)
	}
	return nil
}
