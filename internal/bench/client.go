package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// client is one user with a connection and a token of its own.
type client struct {
	http       *http.Client
	url        string
	repository string
	credential string // the Authorization header; empty without
	cookie     string // of a session; empty without
	random     *rand.ChaCha8
	layers     layers
	buffer     []byte
}

// project holds all repositories of the benchmark.
const project = "bench"

// newClient returns a client of one repository, signed in where the server
// wants that.
func (s *server) newClient(ctx context.Context, repository string, scopes ...string) (*client, error) {
	c := s.anonymous(repository)
	if !s.secured {
		return c, nil
	}
	token, err := c.token(ctx, append(scopes, "repository:"+c.repository+":pull,push"))
	c.credential = "Bearer " + token
	return c, err
}

func (s *server) anonymous(repository string) *client {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.IntN(256)) // content that no earlier client has sent
	}
	random := rand.NewChaCha8(seed)
	c := &client{http: &http.Client{Transport: s.roundTripper()}, url: s.url, repository: project + "/" + repository,
		random: random, layers: newLayers(random), buffer: make([]byte, 1<<20)}
	s.clients = append(s.clients, c)
	return c
}

func (c *client) token(ctx context.Context, scopes []string) (string, error) {
	query := url.Values{"service": {"breakwater"}, "scope": scopes}
	var answer struct {
		Token string `json:"token"`
	}
	c.credential = basic("admin", adminPassword)
	err := c.call(ctx, http.MethodGet, "/service/token?"+query.Encode(), nil, http.StatusOK, &answer)
	return answer.Token, err
}

func basic(name, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, secret)
	return r.Header.Get("Authorization")
}

// robotRequest asks for a robot account that may do in the project what fill
// has to do.
const robotRequest = `{"name":"filler","level":"system","duration":-1,"permissions":[{"kind":"project","namespace":"` + project + `",
	"access":[{"resource":"repository","action":"pull"},{"resource":"repository","action":"push"}]}]}`

// createProject makes the project, and the robot account that fills it.
func (s *server) createProject(ctx context.Context) error {
	c := s.anonymous("")
	c.credential = basic("admin", adminPassword)
	err := c.call(ctx, http.MethodPost, "/api/v2.0/projects", []byte(`{"project_name":"`+project+`"}`), http.StatusCreated, nil)
	if err != nil {
		return err
	}
	var robot struct{ Name, Secret string }
	err = c.call(ctx, http.MethodPost, "/api/v2.0/robots", []byte(robotRequest), http.StatusCreated, &robot)
	s.robot = basic(robot.Name, robot.Secret)
	return err
}

// call sends a request with a small body and decodes the answer into out.
func (c *client) call(ctx context.Context, method, path string, body []byte, want int, out any) error {
	res, err := c.send(ctx, method, path, "application/json", bytes.NewReader(body), int64(len(body)), want)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		return c.discard(res.Body)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// send makes one request. The body of the answer is still to be read.
func (c *client) send(ctx context.Context, method, path, mediaType string, body io.Reader, size int64, want int) (*http.Response, error) {
	if size == 0 {
		body = nil
	}
	if !strings.HasPrefix(path, "http") {
		path = c.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", mediaType)
	if method == http.MethodGet || method == http.MethodHead {
		req.Header.Set("Accept", manifestType)
	}
	if c.credential != "" {
		req.Header.Set("Authorization", c.credential)
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return nil, fmt.Errorf("%s %s: %s %s", method, path, res.Status, text)
	}
	return res, nil
}

// exchange is send for an answer of which only the header matters.
func (c *client) exchange(ctx context.Context, method, path, mediaType string, body []byte, want int) (http.Header, error) {
	res, err := c.send(ctx, method, path, mediaType, bytes.NewReader(body), int64(len(body)), want)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return res.Header, c.discard(res.Body)
}

// discard reads to the end with few system calls.
func (c *client) discard(r io.Reader) error {
	for {
		_, err := r.Read(c.buffer)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return digestName(sum[:])
}

func digestName(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

func (c *client) path(parts ...string) string { return "/v2/" + c.repository + strings.Join(parts, "") }

// pushBlob sends a small blob as docker does: HEAD, POST, PUT.
func (c *client) pushBlob(ctx context.Context, b blob) error {
	if _, err := c.exchange(ctx, http.MethodHead, c.path("/blobs/", b.digest), "", nil, http.StatusNotFound); err != nil {
		return err
	}
	location, err := c.startUpload(ctx)
	if err != nil {
		return err
	}
	_, err = c.exchange(ctx, http.MethodPut, location+"digest="+b.digest, "application/octet-stream", b.content, http.StatusCreated)
	return err
}

// startUpload returns where to send the blob; a parameter can be added to it.
func (c *client) startUpload(ctx context.Context) (string, error) {
	header, err := c.exchange(ctx, http.MethodPost, c.path("/blobs/uploads/"), "", nil, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	return withQuery(header.Get("Location")), nil
}

func withQuery(location string) string {
	if strings.Contains(location, "?") {
		return location + "&"
	}
	return location + "?"
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// layerSize is the length of the layers of small images in bytes.
const layerSize = 64 << 10

// image is what one push sends.
type image struct {
	blobs    []blob
	manifest manifest
}

type blob struct {
	digest  string
	content []byte
}

// layers makes layers that differ in their ends. The start is made and hashed
// once: who pushes has its images already, and does not make them meanwhile.
type layers struct {
	random *rand.ChaCha8
	start  []byte
	hashed hash.Cloner // of start
}

// uniqueSize is how many bytes of a layer no other layer has.
const uniqueSize = 64

func newLayers(random *rand.ChaCha8) layers {
	l := layers{random: random, start: make([]byte, layerSize-uniqueSize), hashed: sha256.New().(hash.Cloner)}
	_, _ = random.Read(l.start)    // never fails
	_, _ = l.hashed.Write(l.start) // never fails
	return l
}

func (l layers) next() (blob, error) {
	content := append(make([]byte, 0, layerSize), l.start...)
	end := content[len(l.start):layerSize]
	_, _ = l.random.Read(end) // never fails
	h, err := l.hashed.Clone()
	if err != nil {
		return blob{}, err
	}
	_, _ = h.Write(end) // never fails
	return blob{digestName(h.Sum(nil)), content[:layerSize]}, nil
}

// newImage makes an image of three random layers.
func (c *client) newImage() (image, error) {
	im := image{manifest: manifest{SchemaVersion: 2, MediaType: manifestType}}
	var ids []string
	for range 3 {
		b, err := c.layers.next()
		if err != nil {
			return im, err
		}
		ids, im.blobs = append(ids, b.digest), append(im.blobs, b)
		im.manifest.Layers = append(im.manifest.Layers, descriptor{"application/vnd.oci.image.layer.v1.tar", b.digest, layerSize})
	}
	config, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": []string{"/bin/sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	if err != nil {
		return im, err
	}
	b := blob{digestOf(config), config}
	im.blobs = append(im.blobs, b)
	im.manifest.Config = descriptor{"application/vnd.oci.image.config.v1+json", b.digest, len(config)}
	return im, nil
}

// push pushes the image as docker does, one blob after the other.
func (c *client) push(ctx context.Context, im image, tag string) error {
	for _, b := range im.blobs {
		if err := c.pushBlob(ctx, b); err != nil {
			return err
		}
	}
	_, err := c.pushManifest(ctx, im.manifest, tag)
	return err
}

// pushImage pushes a new image and returns its manifest.
func (c *client) pushImage(ctx context.Context, tag string) (manifest, error) {
	im, err := c.newImage()
	if err == nil {
		err = c.push(ctx, im, tag)
	}
	return im.manifest, err
}

func (c *client) pushManifest(ctx context.Context, m manifest, tag string) (digest string, err error) {
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	_, err = c.exchange(ctx, http.MethodPut, c.path("/manifests/", tag), manifestType, text, http.StatusCreated)
	return digestOf(text), err
}
