// Command bench puts the same load on Breakwater and on distribution's own
// registry and prints what each did, and the ratio.
//
// Both run on loopback beside the load generator, one after the other for each
// measurement and that for several rounds; what is printed are medians.
// Breakwater runs with authorisation (a bearer token for each client, fetched
// once as clients do) and audit, distribution as its example configuration has
// it: without either. Data goes to a temporary folder that is removed.
//
// With -import it measures instead how much longer the clients of Breakwater
// wait while CVE feeds are imported.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// options say how much is measured.
type options struct {
	rounds     int
	window     time.Duration // how long a measurement of a rate lasts
	blob       int64         // bytes of the large blob
	names      int           // tags in one repository, and repositories
	starts     int
	transports []string
	peers      []string
	only       *regexp.Regexp
	breakwater string // binaries; built when empty
	registry   string

	imports bool // measure an import of feeds beside a load instead
	rows    int  // that are imported
	calm    time.Duration
	limit   time.Duration
	alone   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) (err error) {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "breakwater-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	apart(ctx, dir)
	running, err := build(ctx, dir, opts)
	if err != nil {
		return err
	}
	b := &bench{options: opts, dir: dir, running: running, results: &results{}}
	if b.keys, err = makeKeys(dir); err != nil {
		return err
	}
	if opts.imports {
		return b.pacing(ctx)
	}
	began := time.Now()
	if err := b.all(ctx); err != nil {
		return err
	}
	b.results.print(os.Stdout, time.Since(began))
	return nil
}

// apart has ext4 put each folder in dir into a block group of its own (chattr(1),
// attribute T). In one group the files that one server removed would slow the
// other's: ext4 passes over inodes freed in the last minutes one by one when it
// looks for a free one, which makes creating a file twenty times slower. Where
// the filesystem has no such attribute, nothing changes.
func apart(ctx context.Context, dir string) {
	_ = exec.CommandContext(ctx, "chattr", "+T", dir).Run()
}

func parse(args []string) (options, error) {
	var o options
	var only, transports, peers string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.rounds, "rounds", 3, "how often each measurement is made")
	fs.DurationVar(&o.window, "window", 2*time.Second, "how long a measurement of a rate lasts")
	fs.Int64Var(&o.blob, "blob", 1<<30, "bytes of the large blob")
	fs.IntVar(&o.names, "names", 10_000, "tags in one repository, and repositories")
	fs.IntVar(&o.starts, "starts", 5, "how often each server is started to measure that")
	fs.StringVar(&transports, "transports", "plain,tls,tls1,tls2", "plain HTTP; TLS where the server picks the protocol, as docker lets it; TLS with HTTP/1.1; TLS with HTTP/2")
	fs.StringVar(&peers, "peers", "breakwater,distribution", "who is measured")
	fs.StringVar(&only, "only", "", "measure only what matches this regular expression")
	fs.StringVar(&o.breakwater, "breakwater", "", "binary to measure (default: built from this tree)")
	fs.StringVar(&o.registry, "registry", "", "distribution's binary (default: installed from its module)")
	fs.BoolVar(&o.imports, "import", false, "measure instead what clients of Breakwater notice of an import of CVE feeds, over the first of the transports")
	fs.IntVar(&o.rows, "rows", 2_000_000, "with -import: the rows that are imported")
	fs.DurationVar(&o.calm, "calm", time.Minute, "with -import: how long the load lasts without the import, before it and after it")
	fs.DurationVar(&o.limit, "limit", 30*time.Minute, "with -import: how long an import may take")
	fs.BoolVar(&o.alone, "alone", true, "with -import: measure first how long the import takes without the load")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.transports, o.peers = strings.Split(transports, ","), strings.Split(peers, ",")
	if o.imports {
		o.peers = []string{"breakwater"}
	}
	var err error
	o.only, err = regexp.Compile(only)
	return o, err
}

// bench is one run of everything.
type bench struct {
	options
	dir     string
	running []peer
	keys    keyPair
	results *results
}

func (b *bench) all(ctx context.Context) error {
	if b.only.MatchString("start") {
		if err := b.starting(ctx); err != nil {
			return err
		}
	}
	for _, transport := range b.transports {
		if err := b.session(ctx, transport); err != nil {
			return fmt.Errorf("%s: %w", transport, err)
		}
	}
	return nil
}

// session starts both servers with one transport and measures all of it.
func (b *bench) session(ctx context.Context, transport string) (err error) {
	var servers []*server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop(), os.RemoveAll(s.home))
		}
	}()
	for _, p := range b.running {
		s, err := b.start(ctx, p, transport)
		if err != nil {
			return err
		}
		servers = append(servers, s)
	}
	for range b.rounds {
		for _, m := range measurements(b.options) {
			if err := b.measure(ctx, m, transport, servers); err != nil {
				return err
			}
		}
	}
	return b.memory(transport, servers)
}

// measure makes one measurement on each server in turn.
func (b *bench) measure(ctx context.Context, m measurement, transport string, servers []*server) error {
	if !b.only.MatchString(m.name) || (m.plainOnly && transport != "plain") {
		return nil
	}
	for _, s := range servers {
		if m.prepare != nil && !s.prepared[m.name] {
			if err := m.prepare(ctx, s); err != nil {
				return fmt.Errorf("%s: prepare %s: %w", s.name, m.name, err)
			}
			s.prepared[m.name] = true
		}
		if err := s.settle(); err != nil {
			return err
		}
		sample, err := s.sample(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.name, m.name, err)
		}
		b.results.add(transport, m, s.name, sample)
		fmt.Fprintf(os.Stderr, "%-6s %-28s %-12s %s\n", transport, m.name, s.name, m.show(sample))
	}
	return nil
}

// memory reports the most that each server used, and what it keeps.
func (b *bench) memory(transport string, servers []*server) error {
	for _, s := range servers {
		peak, err := s.memory("VmHWM")
		if err != nil {
			return err
		}
		b.results.add(transport, megabytes("peak memory", 0), s.name, sample{ops: peak / 1e6})
		b.results.add(transport, megabytes("idle memory", 40), s.name, sample{ops: s.idle / 1e6})
	}
	return nil
}
