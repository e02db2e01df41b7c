package feeds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	sums := ""
	for _, name := range mappingNames {
		text, err := r.mapping(ctx, name)
		if err == nil {
			var n int64
			if n, err = checkMapping(name, text); err == nil {
				err = r.writeMapping(name, text)
				result.Records += n
			}
		}
		if err != nil {
			if failure, _ := r.watch.cause(); failure != nil {
				err = failure
			}
			result.Error, result.Records = core.Clip(err.Error(), maxError), 0
			return result
		}
		sum := sha256.Sum256(text)
		sums += hex.EncodeToString(sum[:])
	}
	result.Fingerprint = sums
	result.Changed = sums != r.known(mappingsPart).Fingerprint
	return result
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

// writeMapping puts the file in place whole.
func (r *Runner) writeMapping(name string, text []byte) (err error) {
	if err := os.MkdirAll(r.Mappings, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(r.Mappings, name+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(r.Mappings, name))
}
