package feeds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The names of Red Hat's mapping files in their folder, which are those of the
// source: without them images of Red Hat match nothing.
const (
	RepositoryMapping = "repository-to-cpe.json"
	ContainerMapping  = "container-name-repos-map.json"
)

var mappingNames = []string{RepositoryMapping, ContainerMapping}

// Mappings takes the mapping files.
type Mappings interface {
	// SetMapping replaces the file of that name and says whether that changes
	// anything.
	SetMapping(ctx context.Context, name string, content []byte) (changed bool, err error)
}

// mappingsPart is the name under which the mapping files are shown.
const mappingsPart = "rhel-mapping-files"

const (
	mappingsURL = "https://security.access.redhat.com/data/metrics/"
	maxMapping  = 64 << 20
)

// mappings downloads the mapping files.
func (r *run) mappings(ctx context.Context) core.FeedPartResult {
	result := core.FeedPartResult{Name: mappingsPart}
	r.watch.forget()
	r.watch.set(func(p *Progress) { p.Part, p.Step, p.Records = mappingsPart, StepDownload, 0 })
	for _, name := range mappingNames {
		n, changed, err := r.setMapping(ctx, name)
		if err != nil {
			if failure, _ := r.watch.cause(); failure != nil {
				err = failure
			}
			result.Error = core.Clip(err.Error(), maxError)
			return result
		}
		result.Records += n
		result.Changed = result.Changed || changed
	}
	result.Changed = result.Changed || result.Records != r.known(mappingsPart).Records
	return result
}

func (r *run) setMapping(ctx context.Context, name string) (entries int64, changed bool, err error) {
	text, err := r.mapping(ctx, name)
	if err != nil {
		return 0, false, err
	}
	if entries, err = checkMapping(name, text); err != nil {
		return 0, false, err
	}
	changed, err = r.Mappings.SetMapping(ctx, name, text)
	return entries, changed, err
}

func (r *run) mapping(ctx context.Context, name string) (text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, mappingsURL+name, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", name, response.Status)
	}
	text, err = io.ReadAll(io.LimitReader(response.Body, maxMapping+1))
	if err == nil && len(text) > maxMapping {
		err = errTooLarge(name, maxMapping)
	}
	return text, err
}

// checkMapping counts the entries of a mapping file: an object "data" with one.
func checkMapping(name string, text []byte) (int64, error) {
	var file struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if len(file.Data) == 0 {
		return 0, fmt.Errorf("%s holds no data", name)
	}
	return int64(len(file.Data)), nil
}

// MappingFolder keeps the mapping files in a folder, under their names.
type MappingFolder string

// SetMapping implements Mappings. Readers see the old file or the new one.
func (f MappingFolder) SetMapping(_ context.Context, name string, content []byte) (changed bool, err error) {
	target := filepath.Join(string(f), name)
	if old, err := os.ReadFile(target); err == nil && bytes.Equal(old, content) {
		return false, nil
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return false, err
	}
	file, err := os.CreateTemp(string(f), name+".")
	if err != nil {
		return false, err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), target)
	}
	if err != nil {
		return false, errors.Join(err, os.Remove(file.Name()))
	}
	return true, nil
}
