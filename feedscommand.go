package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/config"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

func feedsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "feeds", Short: "CVE feeds: see, update, export and import them"}
	cmd.AddCommand(feedsListCommand(), feedsUpdateCommand(), feedsExportCommand(), feedsImportCommand())
	return cmd
}

func feedsListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the CVE feeds and how old their data is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app.App) error { return listFeeds(ctx, cmd.OutOrStdout(), a) })
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

func listFeeds(ctx context.Context, out io.Writer, a *app.App) error {
	all, err := a.Feeds(ctx, theSystem)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FEED\tSTATE\tRECORDS\tREAD\tERROR")
	now := time.Now()
	for _, f := range all {
		state, read := "off", "never"
		if f.Enabled {
			state = "on"
		}
		if f.Stale(now) {
			state = "STALE"
		}
		if !f.SucceededAt.IsZero() {
			read = f.SucceededAt.Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", f.Name, state, f.Records, read, f.Error)
	}
	return table.Flush()
}

func feedsUpdateCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "update [FEED...]",
		Short: "Read the sources of the named feeds, or of all that are on; it works while the registry runs",
		RunE: func(cmd *cobra.Command, names []string) error {
			return followFeeds(cmd, func(ctx context.Context, a *app.App) (int64, error) {
				return a.StartFeedUpdate(ctx, theSystem, app.FeedJob{Feeds: names, Force: force})
			})
		},
	}
	config.Flags(cmd.Flags())
	cmd.Flags().BoolVar(&force, "force", false, "read also what has not changed")
	return cmd
}

func feedsImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a bundle of feeds export, or a file of clairctl export-updaters; it works while the registry runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return followFeeds(cmd, func(ctx context.Context, a *app.App) (int64, error) { return bringBundle(ctx, cmd, a, args[0]) })
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

// bringBundle copies the file to where the registry can read it, and queues its
// import.
func bringBundle(ctx context.Context, cmd *cobra.Command, a *app.App, name string) (id int64, err error) {
	cfg, err := settings(cmd)
	if err != nil {
		return 0, err
	}
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	folder := newBundleFolder(cfg.Data, spaceOf(cfg))
	kept, err := folder.Keep(file)
	if err != nil {
		return 0, err
	}
	if id, err = a.StartFeedImport(ctx, theSystem, kept, filepath.Base(name)); err != nil {
		return 0, errors.Join(err, folder.Discard(kept))
	}
	return id, nil
}

// followFeeds has the registry do what start queues, and waits for it.
func followFeeds(cmd *cobra.Command, start func(context.Context, *app.App) (int64, error)) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cmd.SetContext(ctx)
	return byRegistry(cmd, func(ctx context.Context, a *app.App) error {
		return follow(ctx, cmd.OutOrStdout(), watched{
			what:  "feed run",
			start: func(ctx context.Context) (int64, error) { return start(ctx, a) },
			read:  func(ctx context.Context, id int64) (core.Job, error) { return a.FeedRun(ctx, theSystem, id) },
			list: func(ctx context.Context, q core.Query) ([]core.Job, int64, error) {
				return a.FeedRuns(ctx, theSystem, q)
			},
			progress: feedProgressText,
			end:      func(out io.Writer, job core.Job) error { return printFeedRun(ctx, out, a, job) },
		})
	})
}

func feedProgressText(job core.Job) string {
	var p feedProgress
	if json.Unmarshal([]byte(job.Progress), &p) != nil || p.Step == "" {
		return "waiting"
	}
	text := p.Step
	if p.Part != "" {
		text = p.Part + ": " + text
	}
	return fmt.Sprintf("%s, %d of %d parts, %s, %d records", text, p.Done, p.Total, size(p.Bytes), p.Records)
}

func printFeedRun(ctx context.Context, out io.Writer, a *app.App, job core.Job) error {
	log, err := a.FeedLog(ctx, theSystem, job.ID)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, log); err != nil {
		return err
	}
	if job.Status != core.JobSuccess {
		return fmt.Errorf("feed run %d: %s %s", job.ID, job.Status, job.Message)
	}
	return nil
}

// export is what breakwater feeds export is asked for.
type export struct {
	file        string
	names, urls []string
}

func feedsExportCommand() *cobra.Command {
	var e export
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Read feeds and write them to a file for registries without internet",
		Long: "Read feeds and write them to a file for registries without internet. It needs no registry on this machine.\n" +
			"HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured; large files go to TMPDIR meanwhile.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			e.file = args[0]
			return e.run(ctx, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringSliceVar(&e.names, "feed", nil, "a feed to export, of those that breakwater feeds list shows, or all; repeatable (default those that are on in a new registry)")
	cmd.Flags().StringSliceVar(&e.urls, "url", nil, "read a source from another address, as in debian.tracker=https://mirror.example.com/json; repeatable")
	return cmd
}

func (e export) run(ctx context.Context, out io.Writer) (err error) {
	wishes, err := e.wishes()
	if err != nil {
		return err
	}
	part := e.file + ".part"
	file, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && file != nil {
			err = errors.Join(err, file.Close(), os.Remove(part))
		}
	}()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // claircore's; what went wrong is in the results
	bar := newBar(out)
	runner := feeds.Runner{Agent: userAgent(), Limits: feeds.DefaultLimits(), Log: slog.New(slog.DiscardHandler)}
	results, err := feeds.Export(ctx, file, runner, wishes, exportProgress(bar))
	bar.clear()
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	file = nil
	if err := os.Rename(part, e.file); err != nil {
		return err
	}
	return e.tell(out, results)
}

// wishes are the feeds to export.
func (e export) wishes() (wishes []feeds.Wish, err error) {
	urls := map[string]map[string]string{}
	for _, text := range e.urls {
		name, address, ok := strings.Cut(text, "=")
		feed, source, named := strings.Cut(name, ".")
		if !ok || !named {
			return nil, fmt.Errorf("--url %q must look like FEED.SOURCE=URL", text)
		}
		set, err := core.FindFeedSet(feed)
		if err == nil {
			_, err = set.Source(source)
		}
		if err == nil {
			err = core.CheckFeedURL(address)
		}
		if err != nil {
			return nil, err
		}
		if urls[feed] == nil {
			urls[feed] = map[string]string{}
		}
		urls[feed][source] = address
	}
	named := map[string]bool{}
	for _, name := range e.names {
		if _, err := core.FindFeedSet(name); err != nil && name != "all" {
			return nil, err
		}
		named[name] = true
	}
	for _, set := range core.FeedSets() {
		if named["all"] || named[set.Name] || len(named) == 0 && set.Default {
			wishes = append(wishes, feeds.Wish{Feed: core.Feed{FeedSet: set, URLs: urls[set.Name]}})
		}
	}
	return wishes, nil
}

func exportProgress(bar *bar) func(feeds.Progress) {
	var last feeds.Progress
	return func(p feeds.Progress) {
		if p.Feed != last.Feed || p.Part != last.Part || p.Step != last.Step {
			bar.Phase(strings.TrimSpace(p.Feed+" "+p.Part)+": "+p.Step, 0, true)
		}
		bar.Add(max(0, p.Bytes-last.Bytes))
		last = p
	}
}

// tell prints what is in the file and what is not; the latter makes the command fail.
func (e export) tell(out io.Writer, results []core.FeedResult) error {
	failed := 0
	for _, result := range results {
		records := int64(0)
		for _, part := range result.Parts {
			if part.Error == "" {
				records += part.Records
			}
		}
		fmt.Fprintf(out, "%s: %d records\n", result.Feed, records)
		if text := result.Summary(); text != "" {
			failed++
			fmt.Fprintf(out, "  NOT COMPLETE: %s\n", text)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s is written, but %d of %d feeds in it are not complete", e.file, failed, len(results))
	}
	_, err := fmt.Fprintf(out, "%s is written. On the registry: breakwater feeds import %s\n", e.file, filepath.Base(e.file))
	return err
}
