package scanner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/quay/claircore/datastore"
	"github.com/quay/claircore/indexer"
	"github.com/quay/claircore/libindex"
	"github.com/quay/claircore/libvuln"
	"github.com/quay/claircore/libvuln/updates"

	"github.com/breakwater-registry/breakwater/scanner/scandb"
	"github.com/breakwater-registry/breakwater/scanner/vulndb"
)

// Name and Version are what made a report.
const (
	Name    = "claircore"
	Version = "1.5.54"
)

// Blob is the open content of a layer.
type Blob interface {
	io.ReaderAt
	io.Closer
	// Size returns the length in bytes.
	Size() int64
}

// Blobs opens the layers of images.
type Blobs interface {
	// OpenBlob returns an error with core.CodeNotFound for an absent blob.
	OpenBlob(ctx context.Context, digest string) (Blob, error)
}

// Options are what an Engine needs. Data, Blobs and Log must be given.
type Options struct {
	Data  string // folder for cve.db, scan.db, the mapping files and temporary files
	Blobs Blobs
	Log   *slog.Logger
	// Concurrency is how many images are indexed at once, 0 for half of the processors.
	Concurrency int
	// Timeout bounds one scan, 0 for 15 minutes.
	Timeout time.Duration
	// MaxImage bounds the bytes of all layers of one image when they are
	// inflated, 0 for 32 GiB.
	MaxImage int64
	// Free returns the bytes free on the disk of Data above what must stay free;
	// an image stops being inflated when there are none. nil: no bound.
	Free func() (int64, error)
	// Pace is called by imports of feeds and may wait; see vulndb.Options.
	Pace func(ctx context.Context)
}

const (
	defaultTimeout  = 15 * time.Minute
	defaultMaxImage = 32 << 30

	// CVEFile and ScanFile are the databases, within the data folder.
	CVEFile  = "cve.db"
	ScanFile = "scan.db"
)

// Engine scans images. Its methods may be called concurrently.
type Engine struct {
	options Options
	turns   chan struct{} // one for each image that is being indexed
	quiet   sync.Mutex    // held by who takes all turns

	mutex  sync.Mutex
	opened *opened // nil until it is needed
	closed bool
}

// opened is what the engine holds once it is in use.
type opened struct {
	vulns *vulndb.Store
	scans *scandb.Store
	index *libindex.Libindex
	match *libvuln.Libvuln
	// mappings are the states of the mapping files that index has read.
	mappings map[string]string
}

// Open prepares an engine. It opens no database yet, and removes what a crash
// left of earlier scans.
func Open(options Options) (*Engine, error) {
	if options.Concurrency <= 0 {
		options.Concurrency = max(1, runtime.NumCPU()/2)
	}
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.MaxImage <= 0 {
		options.MaxImage = defaultMaxImage
	}
	e := &Engine{options: options, turns: make(chan struct{}, options.Concurrency)}
	if err := os.RemoveAll(e.TempDir()); err != nil {
		return nil, fmt.Errorf("remove the files of earlier scans: %w", err)
	}
	if err := os.MkdirAll(e.TempDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for scans: %w", err)
	}
	return e, nil
}

// TempDir is the folder for what scans inflate. claircore writes to the
// process's folder for temporary files (TMPDIR) too: it should be this one,
// because what an image holds may be larger than /tmp.
func (e *Engine) TempDir() string { return filepath.Join(e.options.Data, "tmp", "scan") }

var errClosed = errors.New("the scanner is closed")

// open returns the open databases, opening them at the first call. After an
// error the next call tries again.
func (e *Engine) open(ctx context.Context) (*opened, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed {
		return nil, errClosed
	}
	if e.opened != nil {
		return e.opened, nil
	}
	o, err := e.openAll(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	e.opened = o
	return o, nil
}

func (e *Engine) openAll(ctx context.Context) (_ *opened, err error) {
	o := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close(ctx))
		}
	}()
	o.vulns, err = vulndb.Open(ctx, filepath.Join(e.options.Data, CVEFile), vulndb.Options{Log: e.options.Log, Pace: e.options.Pace})
	if err != nil {
		return nil, err
	}
	if o.scans, err = scandb.Open(ctx, filepath.Join(e.options.Data, ScanFile), e.options.Log); err != nil {
		return nil, err
	}
	if o.mappings, err = e.stampMappings(ctx, o.scans); err != nil {
		return nil, err
	}
	if o.index, err = e.newIndexer(ctx, o.scans); err != nil {
		return nil, fmt.Errorf("prepare the indexer: %w", err)
	}
	if o.match, err = newMatcher(ctx, o.vulns); err != nil {
		return nil, fmt.Errorf("prepare the matcher: %w", err)
	}
	return o, nil
}

func (e *Engine) newIndexer(ctx context.Context, store indexer.Store) (*libindex.Libindex, error) {
	ecosystems, err := e.ecosystems(ctx)
	if err != nil {
		return nil, err
	}
	return libindex.New(ctx, &libindex.Options{
		Store:                store,
		Locker:               updates.NewLocalLockSource(),
		FetchArena:           &arena{engine: e},
		Ecosystems:           ecosystems,
		LayerScanConcurrency: runtime.NumCPU(),
	}, offline)
}

func newMatcher(ctx context.Context, store datastore.MatcherStore) (*libvuln.Libvuln, error) {
	matchers, err := guardedMatchers(ctx)
	if err != nil {
		return nil, err
	}
	return libvuln.New(ctx, &libvuln.Options{
		Store:                    store,
		Locker:                   updates.NewLocalLockSource(),
		Client:                   offline,
		DisableBackgroundUpdates: true,
		UpdaterSets:              []string{}, // the feeds are not its business
		MatcherNames:             []string{},
		Matchers:                 matchers,
	})
}

// offline is the HTTP client of claircore's parts: what they need is in files.
var offline = &http.Client{Transport: refuse{}}

type refuse struct{}

func (refuse) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("the scanner does not use the network, so it does not ask %s", r.URL.Host)
}

func (o *opened) close(ctx context.Context) error {
	var errs []error
	if o.scans != nil {
		errs = append(errs, o.scans.Close(ctx))
	}
	if o.vulns != nil {
		errs = append(errs, o.vulns.Close())
	}
	return errors.Join(errs...)
}

// Close closes the databases; running calls must have ended.
func (e *Engine) Close() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.closed = true
	if e.opened == nil {
		return nil
	}
	return e.opened.close(context.Background())
}

// Vulnerabilities returns the database of the CVE feeds, for what brings them.
func (e *Engine) Vulnerabilities(ctx context.Context) (*vulndb.Store, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.vulns, nil
}
