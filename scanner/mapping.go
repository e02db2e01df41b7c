package scanner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Red Hat says in two files which repositories and containers belong to which
// product. Without their content RHEL images match nothing; without the files
// no image can be indexed at all, so empty ones are there from the start.
const (
	RepositoryMapping = "repository-to-cpe.json"
	ContainerMapping  = "container-name-repos-map.json"
)

const emptyMapping = `{"data":{}}`

// mappingFile is the path of one of the files.
func (e *Engine) mappingFile(name string) string {
	return filepath.Join(e.options.Data, "feeds", name)
}

func (e *Engine) seedMappings() error {
	for _, name := range []string{RepositoryMapping, ContainerMapping} {
		_, err := os.Stat(e.mappingFile(name))
		if err == nil {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = e.writeMapping(name, []byte(emptyMapping))
		}
		if err != nil {
			return fmt.Errorf("mapping file %s: %w", name, err)
		}
	}
	return nil
}

// Mapping returns the content of one of the mapping files.
func (e *Engine) Mapping(name string) ([]byte, error) {
	if err := e.seedMappings(); err != nil {
		return nil, err
	}
	return os.ReadFile(e.mappingFile(name))
}

// SetMapping replaces one of the mapping files and says whether that changes
// anything; content that is no mapping is refused with core.CodeBadRequest.
// After a change, what was found with the old file is forgotten, so that the
// next scan of an image looks at it again: scan all images then.
func (e *Engine) SetMapping(ctx context.Context, name string, content []byte) (changed bool, err error) {
	scanners := map[string]string{RepositoryMapping: "rhel-repository-scanner", ContainerMapping: "rhel_containerscanner"}
	if scanners[name] == "" {
		return false, core.Errorf(core.CodeBadRequest, "%q is none of the mapping files %s and %s", core.Clip(name, 64), RepositoryMapping, ContainerMapping)
	}
	var mapping struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(content, &mapping); err != nil || mapping.Data == nil {
		return false, core.Errorf(core.CodeBadRequest, `the file %s is not a mapping by Red Hat: it must be JSON with an object "data"`, name)
	}
	if old, err := e.Mapping(name); err != nil || bytes.Equal(old, content) {
		return false, err
	}
	if err := e.writeMapping(name, content); err != nil {
		return false, fmt.Errorf("mapping file %s: %w", name, err)
	}
	return true, e.reindex(ctx, scanners[name])
}

// reindex makes an indexer that has read the mapping files again, and forgets
// that the scanner has seen anything.
func (e *Engine) reindex(ctx context.Context, scanner string) error {
	o, err := e.open(ctx)
	if err != nil {
		return err
	}
	if err := o.scans.ForgetScanner(ctx, scanner); err != nil {
		return err
	}
	index, err := e.newIndexer(ctx, o.scans)
	if err != nil {
		return fmt.Errorf("prepare the indexer: %w", err)
	}
	e.mutex.Lock()
	defer e.mutex.Unlock()
	fresh := *o // running scans keep what they have
	fresh.index = index
	e.opened = &fresh
	return nil
}

// writeMapping replaces the file at once, so that nobody reads half of it.
func (e *Engine) writeMapping(name string, content []byte) error {
	target := e.mappingFile(name)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	temp := target + ".new"
	if err := os.WriteFile(temp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, target)
}
