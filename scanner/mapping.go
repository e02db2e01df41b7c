package scanner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/breakwater-registry/breakwater/scanner/scandb"
)

// Red Hat says in two files which repositories and containers belong to which
// product. Without their content RHEL images match nothing; without the files
// no image can be indexed at all, so empty ones are there from the start. The
// feeds replace them.
const (
	RepositoryMapping = "repository-to-cpe.json"
	ContainerMapping  = "container-name-repos-map.json"
)

const emptyMapping = `{"data":{}}`

// mappingScanners are the scanners that read the files, by the name of the file.
var mappingScanners = map[string]string{
	RepositoryMapping: "rhel-repository-scanner",
	ContainerMapping:  "rhel_containerscanner",
}

// MappingDir is the folder of the mapping files. Whoever puts a new file there,
// by renaming, need not tell: the next scan reads it, and looks again at what
// was scanned with the old one when that is scanned the next time.
func (e *Engine) MappingDir() string { return filepath.Join(e.options.Data, "feeds") }

func (e *Engine) mappingFile(name string) string { return filepath.Join(e.MappingDir(), name) }

// stampMappings makes the files that are missing and returns the state of each:
// its size and time. What was found with a file in another state is forgotten.
func (e *Engine) stampMappings(ctx context.Context, scans *scandb.Store) (map[string]string, error) {
	stamps := map[string]string{}
	for name, scanner := range mappingScanners {
		info, err := os.Stat(e.mappingFile(name))
		if errors.Is(err, fs.ErrNotExist) {
			if err = e.seedMapping(name); err == nil {
				info, err = os.Stat(e.mappingFile(name))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("mapping file %s: %w", name, err)
		}
		stamps[name] = fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixMicro())
		if err := scans.SetInput(ctx, scanner, stamps[name]); err != nil {
			return nil, fmt.Errorf("mapping file %s: %w", name, err)
		}
	}
	return stamps, nil
}

func (e *Engine) seedMapping(name string) error {
	if err := os.MkdirAll(e.MappingDir(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(e.mappingFile(name), []byte(emptyMapping), 0o600)
}

// openToScan is open with an indexer that has read the mapping files as they
// are. Running scans keep the one they have. When a new file cannot be read,
// the old indexer stays.
func (e *Engine) openToScan(ctx context.Context) (*opened, error) {
	o, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	stamps, err := e.stampMappings(ctx, o.scans)
	if err != nil {
		return nil, err
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed || maps.Equal(stamps, e.opened.mappings) {
		return e.opened, nil
	}
	fresh := *e.opened
	fresh.mappings = stamps
	index, err := e.newIndexer(ctx, fresh.scans)
	if err != nil {
		e.options.Log.Error("a mapping file of Red Hat cannot be used; scans go on with the old one", "error", err)
	} else {
		fresh.index = index
	}
	e.opened = &fresh
	return e.opened, nil
}
