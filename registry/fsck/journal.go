package fsck

import (
	"context"
	"errors"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/registry/journal"
	"github.com/breakwater-registry/breakwater/store"
)

// journaled verifies the journal and, when no registry runs, that it leads to
// what is in the database.
func (r *run) journaled(ctx context.Context) error {
	r.Progress.Phase("journal", 0, false)
	position, known, err := r.checks.JournalPosition(ctx)
	if err != nil {
		return err
	}
	left := state{}
	err = journal.Replay(r.Journal, func(e core.JournalEntry) error {
		r.result.JournalEntries++
		r.Progress.Add(1)
		// What comes after was not committed: the next start voids it.
		if !known || e.Seq <= position {
			left.apply(e)
		}
		return ctx.Err()
	})
	if damage, ok := errors.AsType[*journal.CorruptError](err); ok {
		r.report(Problem{Subject: "journal", Text: damage.Error() + "; without one, fsck --repair begins a new journal"})
		return nil
	}
	if err != nil || r.Beside {
		return err
	}
	return r.compareJournal(ctx, left)
}

// compareJournal takes what the database has out of left, where it should be,
// and records what the journal lacks. What is only in the journal is told and
// stays: the database may be new, or an older one.
func (r *run) compareJournal(ctx context.Context, left state) error {
	var amend []core.JournalEntry
	err := r.takeRepositories(ctx, left, func(e core.JournalEntry) {
		p := Problem{Subject: entryName(e), Text: "is not in the journal as it is; a rebuild would not bring it back"}
		if r.Repair {
			p.Repair = "recorded"
			e.Actor = string(core.KindSystem)
			amend = append(amend, e)
		}
		r.report(p)
	})
	if err != nil {
		return err
	}
	var only []string
	for _, name := range left.names() {
		only = append(only, leftovers(left[name])...)
	}
	if len(only) > 0 {
		r.report(Problem{Subject: "journal", Uses: only, Text: "tells of what the database does not have. If that is missing, breakwater fsck --rebuild makes it again in an empty database. " +
			"To keep the database as it is, move the folder journal out of the data folder and run breakwater fsck --repair, which writes a new one"})
	}
	for len(amend) > 0 {
		n := min(len(amend), 1000)
		if err := r.checks.AmendJournal(ctx, amend[:n]); err != nil {
			return err
		}
		amend = amend[n:]
	}
	return nil
}

func entryName(e core.JournalEntry) string {
	switch {
	case e.Tag != "":
		return e.Repository + ":" + e.Tag
	case e.Digest != "":
		return e.Repository + "@" + e.Digest
	}
	return "repository " + e.Repository
}

// takeRepositories takes all that the database has out of left. What left does
// not have is lacking.
func (r *run) takeRepositories(ctx context.Context, left state, lacking func(core.JournalEntry)) error {
	known := map[string]bool{}
	err := pages(ctx, r.checks.Repositories, func(repo core.Repository) int64 { return repo.ID }, func(repo core.Repository) {
		known[repo.Name] = true
		if left[repo.Name] == nil {
			lacking(core.JournalEntry{Op: core.JournalPutRepository, Repository: repo.Name})
		}
	})
	if err != nil {
		return err
	}
	err = pages(ctx, r.checks.Manifests, func(m store.CheckedManifest) int64 { return m.ID }, func(m store.CheckedManifest) {
		images := left[m.Repository]
		if images == nil || images.manifests[m.Digest].Digest == "" {
			lacking(core.JournalEntry{Op: core.JournalPutManifest, Repository: m.Repository, Digest: m.Digest, MediaType: m.MediaType})
			return
		}
		delete(images.manifests, m.Digest)
	})
	if err != nil {
		return err
	}
	err = pages(ctx, r.checks.Tags, func(t store.CheckedTag) int64 { return t.ID }, func(t store.CheckedTag) {
		images := left[t.Repository]
		switch {
		case t.Digest == "": // reported elsewhere
		case images == nil || images.tags[t.Name].Digest != t.Digest:
			lacking(core.JournalEntry{Op: core.JournalPutTag, Repository: t.Repository, Tag: t.Name, Digest: t.Digest})
		}
		if images != nil {
			delete(images.tags, t.Name)
		}
	})
	for name := range known {
		if images := left[name]; images != nil {
			images.put.Op = "" // it is no leftover itself
		}
	}
	return err
}

// leftovers names what is left of a repository.
func leftovers(left *images) (names []string) {
	for _, e := range append(inOrder(left.tags), inOrder(left.manifests)...) {
		names = append(names, entryName(e))
	}
	if len(names) == 0 && left.put.Op != "" {
		names = append(names, entryName(core.JournalEntry{Repository: left.put.Repository}))
	}
	return names
}

// pages calls do for all items of a list, in order.
func pages[T any](ctx context.Context, page func(ctx context.Context, after int64) ([]T, error), id func(T) int64, do func(T)) error {
	for after := int64(0); ; {
		items, err := page(ctx, after)
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			do(item)
		}
		after = id(items[len(items)-1])
	}
}
