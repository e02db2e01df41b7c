package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/registry"
	"github.com/breakwater-registry/breakwater/registry/blobs"
	"github.com/breakwater-registry/breakwater/registry/fsck"
	"github.com/breakwater-registry/breakwater/store"
)

// The exit statuses of fsck beside 0 for a clean registry.
const (
	statusProblems = 1
	statusFailed   = 2 // the check could not be made, or not to its end
)

const fsckHelp = `Verify that every blob file holds what its name says, that files, rows and
journal agree, and that nobody changed the audit log. Each problem is a line,
with the images that it touches.

It also works while the registry runs; --repair and --rebuild do not.

--repair counts quotas again, adds missing links, and moves damaged files to
the folder quarantine within the data folder: pulls then say that the image is
damaged, and pushing it again makes it whole. Nothing is deleted.

--rebuild makes the images of a lost database again from blobs and journal.
The database must be absent or empty.

The exit status is 0 when nothing is wrong, 1 when problems were found, also
when all were repaired, and 2 when the check could not be made.`

// fsckOptions are the flags of fsck.
type fsckOptions struct {
	repair, rebuild, fast bool
	jobs                  int
}

func fsckCommand() *cobra.Command {
	var o fsckOptions
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Verify every blob, link and journal entry and the audit log; repair, or rebuild a lost database",
		Long:  fsckHelp,
		Args:  func(cmd *cobra.Command, args []string) error { return failed(cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			cmd.SetContext(ctx)
			return failed(runFsck(cmd, o))
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&o.repair, "repair", false, "repair what can be repaired and set aside what cannot")
	cmd.Flags().BoolVar(&o.rebuild, "rebuild", false, "make the images of a lost database again from blobs and journal")
	cmd.Flags().BoolVar(&o.fast, "fast", false, "look at names and sizes of blob files only, not at their content")
	cmd.Flags().IntVar(&o.jobs, "jobs", min(8, runtime.NumCPU()), "how many `files` are read at once")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return failed(nearestFlag(cmd, err)) })
	return cmd
}

// failed gives an error its exit status, unless it has one.
func failed(err error) error {
	if _, ok := errors.AsType[*exit](err); ok || err == nil {
		return err
	}
	return &exit{statusFailed, err}
}

func (o fsckOptions) check() error {
	switch {
	case o.rebuild && (o.repair || o.fast):
		return errors.New("--rebuild reads everything and repairs what it can; give it without --repair and --fast")
	case o.jobs < 1 || o.jobs > 64:
		return errors.New("--jobs must be a number from 1 to 64")
	}
	return nil
}

func runFsck(cmd *cobra.Command, o fsckOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	cfg, err := settings(cmd)
	if err != nil {
		return err
	}
	need := hasDatabase
	if o.rebuild {
		need = hasJournal
	}
	if err := need(cfg); err != nil {
		return err
	}
	s := &server{cfg: cfg, log: logger(cfg, cmd.ErrOrStderr()), out: cmd.OutOrStdout()}
	defer func() { err = errors.Join(err, s.close()) }()
	err = s.lockData()
	beside := errors.Is(err, syscall.EWOULDBLOCK)
	if err != nil && !beside {
		return err
	}
	if beside && (o.repair || o.rebuild) {
		return fmt.Errorf("a registry runs over %s; stop it first. Without --repair and --rebuild fsck works beside it", cfg.Data)
	}
	f := &fsckRun{server: s, options: o, beside: beside, show: newBar(cmd.ErrOrStderr())}
	if o.rebuild {
		return f.rebuild(cmd.Context())
	}
	return f.check(cmd.Context())
}

// hasJournal refuses a data folder without what a rebuild needs.
func hasJournal(cfg config.Config) error {
	if _, err := os.Stat(journalDir(cfg)); err != nil {
		return fmt.Errorf("there is no journal in %s; name the data folder of the registry with --data", cfg.Data)
	}
	return nil
}

// fsckRun is one run of the command.
type fsckRun struct {
	*server
	options  fsckOptions
	beside   bool // a registry runs
	show     *bar
	problems int
	repaired int
}

// shownUses is how many images are named with a problem.
const shownUses = 50

// found prints a problem.
func (f *fsckRun) found(p fsck.Problem) {
	f.show.clear()
	f.problems++
	fmt.Fprintf(f.out, "%s: %s\n", p.Subject, p.Text)
	if n := min(len(p.Uses), shownUses); n > 0 {
		more := ""
		if len(p.Uses) > n || p.More {
			more = " and more"
		}
		fmt.Fprintf(f.out, "    touches %s%s\n", strings.Join(p.Uses[:n], ", "), more)
	}
	if p.Repair != "" {
		f.repaired++
		fmt.Fprintf(f.out, "    repaired: %s\n", p.Repair)
	}
}

func (f *fsckRun) checker() *fsck.Checker {
	return fsck.New(fsck.Parts{App: f.app, Blobs: f.blobs, Journal: journalDir(f.cfg), Resume: f.collector().Resume, Progress: f.show, Found: f.found})
}

// check verifies and, with --repair, mends.
func (f *fsckRun) check(ctx context.Context) error {
	if err := f.openToCheck(ctx); err != nil {
		return err
	}
	if f.beside {
		fmt.Fprintln(f.out, "A registry runs over this folder: what changes meanwhile is passed over, and the journal is not compared with the database.")
	}
	result, err := f.checker().Run(ctx, fsck.Options{Repair: f.options.repair, Fast: f.options.fast, Beside: f.beside, Jobs: f.options.jobs})
	f.show.clear()
	if err != nil {
		return fmt.Errorf("the check did not come to its end, with %s so far: %w", plural(f.problems, "problem"), err)
	}
	return f.conclude(result)
}

// openToCheck opens what a check needs, which is less than what a repair needs.
func (f *fsckRun) openToCheck(ctx context.Context) (err error) {
	if f.options.repair {
		return f.openToRepair(ctx)
	}
	if f.blobs, err = blobs.Open(ctx, f.cfg.Data); err != nil {
		return err
	}
	if f.store, err = store.Open(ctx, filepath.Join(f.cfg.Data, databaseFile), noJournal{}); err != nil {
		return err
	}
	f.opened(f.store.Close)
	return f.openApp(ctx)
}

func (f *fsckRun) openApp(ctx context.Context) (err error) {
	if f.app, err = app.New(ctx, f.store, registry.Content{Blobs: f.blobs}, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		return err
	}
	f.opened(func() error { f.app.Close(); return nil })
	return nil
}

// openToRepair also opens the journal, and a new one where it is damaged.
func (f *fsckRun) openToRepair(ctx context.Context) error {
	damage, err := fsck.MendJournal(f.cfg.Data, journalDir(f.cfg))
	if err != nil {
		return err
	}
	if err := f.openParts(ctx); err != nil {
		return err
	}
	if damage != nil {
		f.found(*damage)
		return f.app.Checks().SetJournalPosition(ctx, 0)
	}
	return f.settle(ctx)
}

// conclude prints what was seen.
func (f *fsckRun) conclude(r fsck.Result) error {
	fmt.Fprintf(f.out, "Checked: %s with %s, %s, %s, %s of the journal.\n", plural(int(r.Blobs), "blob"), size(r.Bytes),
		plural(int(r.Manifests), "manifest"), plural(int(r.Tags), "tag"), plural(int(r.JournalEntries), "entry"))
	if !r.AuditBroken {
		fmt.Fprintf(f.out, "The audit log is whole: %d rows.\n", r.AuditRows)
	}
	if r.Orphans > 0 {
		fmt.Fprintf(f.out, "%s of %s belong to no image, left by pushes that did not end; the garbage collection frees them.\n",
			plural(int(r.Orphans), "file"), size(r.OrphanBytes))
	}
	if r.Older > 0 {
		fmt.Fprintf(f.out, "%s are older than the database and unknown to it: if it replaces one that was lost, breakwater fsck --rebuild makes the images again, in an empty database.\n",
			plural(int(r.Older), "file"))
	}
	if f.problems == 0 {
		fmt.Fprintln(f.out, "Nothing is wrong.")
		return nil
	}
	advice := "; breakwater fsck --repair, while the registry is stopped, repairs what can be repaired"
	if f.options.repair {
		advice = fmt.Sprintf(", %d repaired", f.repaired)
	}
	return &exit{statusProblems, errors.New(plural(f.problems, "problem") + " found" + advice)}
}

// rebuild makes the images again in an empty database.
func (f *fsckRun) rebuild(ctx context.Context) error {
	if err := f.openParts(ctx); err != nil {
		return err
	}
	if err := f.app.Rebuildable(ctx); err != nil {
		return err
	}
	// Nobody learns this password: reset-password makes another.
	if _, err := f.app.Bootstrap(ctx, auth.RandomPassword()); err != nil {
		return err
	}
	r, err := f.checker().Rebuild(ctx, f.journal.Last(), f.options.jobs)
	f.show.clear()
	if err != nil {
		return fmt.Errorf("nothing was rebuilt: %w", err)
	}
	f.explainRebuilt(r)
	if f.problems > 0 {
		return &exit{statusProblems, fmt.Errorf("%s: not everything could be made again", plural(f.problems, "problem"))}
	}
	return nil
}

func (f *fsckRun) explainRebuilt(r fsck.Rebuilt) {
	fmt.Fprintf(f.out, "Made again: %s, %s, %s and %s, with %s of %s.\n", plural(r.Projects, "project"), plural(r.Repositories, "repository"),
		plural(r.Manifests, "manifest"), plural(r.Tags, "tag"), plural(r.Blobs, "blob"), size(r.Bytes))
	if r.Kept > 0 {
		fmt.Fprintf(f.out, "%s may be parts of what was left out. They stay where they are, unknown to the database.\n", plural(r.Kept, "file"))
	}
	fmt.Fprintf(f.out, `What was only in the database is gone: users, members, robot accounts, quotas,
rules, settings and the audit log. Every project is private and belongs to the
administrator. Next:
  1. breakwater admin reset-password --data %s
  2. start the registry and sign in
  3. make users, members and robot accounts anew, and make public what shall be
`, f.cfg.Data)
}

// exit is an error that ends the program with a status of its own.
type exit struct {
	status int
	error
}

// Unwrap returns the error itself.
func (e *exit) Unwrap() error { return e.error }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func journalDir(cfg config.Config) string { return filepath.Join(cfg.Data, "journal") }

// settle voids what the journal holds of a change that the database did not
// commit: a crash came between the two. A longer tail is another matter: then
// the database is not the one that the journal was written for.
func (s *server) settle(ctx context.Context) error {
	checks := s.app.Checks()
	position, _, err := checks.JournalPosition(ctx)
	last := s.journal.Last()
	if err != nil || position == last {
		return err
	}
	if position > last {
		s.log.Error("the journal lacks changes that the database has: stop the registry and run breakwater fsck --repair", "journal", last, "database", position)
		return nil
	}
	return s.settleTail(ctx, checks, position)
}

func (s *server) settleTail(ctx context.Context, checks app.Checks, position uint64) error {
	ahead, err := fsck.Unsettled(ctx, checks, journalDir(s.cfg), position)
	if err != nil {
		return err
	}
	switch {
	case ahead.Foreign:
		s.log.Error("the journal knows of images that the database does not: it is new, or an older one was restored. To make them again, stop the registry and run breakwater fsck --rebuild with an empty database",
			"journal", s.journal.Last(), "database", position)
		return nil
	case ahead.From > 0:
		if err := s.journal.Abort(ahead.From, ahead.To); err != nil {
			return err
		}
		s.log.Info("a change was voided that had not been committed when the registry ended", "from", ahead.From, "to", ahead.To)
	}
	return checks.SetJournalPosition(ctx, s.journal.Last())
}
