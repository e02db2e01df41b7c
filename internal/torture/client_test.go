package torture_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/testenv"
)

// client speaks to the server as one robot account.
type client struct {
	http   *http.Client
	url    string
	user   string
	secret string
}

// newClient makes a client with connections of its own, of HTTP/2 or 1.1.
func newClient(srv *testenv.Server, user, secret string, http2 bool) *client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: srv.CAPool}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	return &client{http: &http.Client{Transport: transport, Timeout: 2 * time.Minute}, url: srv.URL, user: user, secret: secret}
}

// statusError is an answer that was not hoped for. The server was there to
// give it, so no kill excuses it.
type statusError struct {
	method, path string
	status       int
	text         []byte
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s: %d %s", e.method, e.path, e.status, e.text)
}

// isStatus says whether err is an answer with that status.
func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.status == status
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one request; a status of 300 or more is a *statusError.
func (c *client) send(ctx context.Context, method, path string, body []byte, header map[string]string) (answer, error) {
	if !strings.HasPrefix(path, "https://") {
		path = c.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	req.SetBasicAuth(c.user, c.secret)
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return answer{}, &statusError{method, path, res.StatusCode, data}
	}
	return answer{res.StatusCode, res.Header, data}, nil
}

func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	a, err := c.send(ctx, http.MethodGet, path, nil, nil)
	return a.body, err
}

func (c *client) putManifest(ctx context.Context, repository, reference string, img *image) error {
	_, err := c.send(ctx, http.MethodPut, "/v2/"+repository+"/manifests/"+reference, img.data, map[string]string{"Content-Type": img.mediaType})
	return err
}

func (c *client) delete(ctx context.Context, repository, reference string) error {
	_, err := c.send(ctx, http.MethodDelete, "/v2/"+repository+"/manifests/"+reference, nil, nil)
	return err
}

// has says whether the repository shows the blob to those who may push.
func (c *client) has(ctx context.Context, repository string, b blob) (bool, error) {
	_, err := c.send(ctx, http.MethodHead, "/v2/"+repository+"/blobs/"+b.digest, nil, nil)
	if isStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// begin opens an upload session and returns its location.
func (c *client) begin(ctx context.Context, repository string) (string, error) {
	a, err := c.send(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", nil, nil)
	return a.header.Get("Location"), err
}

// patch sends a chunk that begins at offset.
func (c *client) patch(ctx context.Context, location string, offset int, chunk []byte) (string, error) {
	a, err := c.send(ctx, http.MethodPatch, location, chunk, map[string]string{
		"Content-Type": "application/octet-stream", "Content-Range": fmt.Sprintf("%d-%d", offset, offset+len(chunk)-1)})
	return a.header.Get("Location"), err
}

// finish ends the session with the last bytes of the blob.
func (c *client) finish(ctx context.Context, location string, b blob, last []byte) error {
	_, err := c.send(ctx, http.MethodPut, location+"?digest="+b.digest, last, map[string]string{"Content-Type": "application/octet-stream"})
	return err
}

// chunked uploads the blob in chunks of at most size bytes.
func (c *client) chunked(ctx context.Context, repository string, b blob, size int) error {
	location, err := c.begin(ctx, repository)
	if err != nil {
		return err
	}
	offset := 0
	for chunk := range slices.Chunk(b.data, size) {
		if location, err = c.patch(ctx, location, offset, chunk); err != nil {
			return err
		}
		offset += len(chunk)
	}
	return c.finish(ctx, location, b, nil)
}

// whole uploads the blob with one PUT, or with the POST alone.
func (c *client) whole(ctx context.Context, repository string, b blob, post bool) error {
	if post {
		_, err := c.send(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+b.digest, b.data,
			map[string]string{"Content-Type": "application/octet-stream"})
		return err
	}
	location, err := c.begin(ctx, repository)
	if err != nil {
		return err
	}
	return c.finish(ctx, location, b, b.data)
}

// mount takes the blob from another repository, or uploads it where that does
// not hold it any more.
func (c *client) mount(ctx context.Context, repository, from string, b blob) error {
	a, err := c.send(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/?mount="+b.digest+"&from="+from, nil, nil)
	if err != nil || a.status == http.StatusCreated {
		return err
	}
	return c.finish(ctx, a.header.Get("Location"), b, b.data)
}

// observe returns the state of the repository, as far as images tell of it.
func (c *client) observe(ctx context.Context, r *repository) (state, error) {
	actual := state{map[string]string{}, map[string]*image{}}
	tags, err := c.tags(ctx, r.name)
	if err != nil {
		return actual, err
	}
	for _, tag := range tags {
		a, err := c.send(ctx, http.MethodHead, "/v2/"+r.name+"/manifests/"+tag, nil, nil)
		if err != nil {
			return actual, fmt.Errorf("a listed tag: %w", err)
		}
		actual.tags[tag] = a.header.Get("Docker-Content-Digest")
	}
	for digest, img := range maps.All(r.images()) {
		_, err := c.send(ctx, http.MethodHead, "/v2/"+r.name+"/manifests/"+digest, nil, nil)
		if err == nil {
			actual.images[digest] = img
		} else if !isStatus(err, http.StatusNotFound) {
			return actual, err
		}
	}
	return actual, nil
}

func (c *client) tags(ctx context.Context, repository string) ([]string, error) {
	text, err := c.get(ctx, "/v2/"+repository+"/tags/list")
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list struct{ Tags []string }
	return list.Tags, json.Unmarshal(text, &list)
}

// verify reads an image byte by byte.
func (c *client) verify(ctx context.Context, repository string, img *image) error {
	text, err := c.get(ctx, "/v2/"+repository+"/manifests/"+img.digest)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, img.data) {
		return &violation{repository + "@" + img.digest + ": the manifest has other bytes than were pushed"}
	}
	for _, b := range img.blobs {
		data, err := c.get(ctx, "/v2/"+repository+"/blobs/"+b.digest)
		if err != nil {
			return fmt.Errorf("%s@%s: %w", repository, img.digest, err)
		}
		if !bytes.Equal(data, b.data) {
			return &violation{repository + "@" + img.digest + ": the blob " + b.digest + " has other bytes than were pushed"}
		}
	}
	return nil
}
