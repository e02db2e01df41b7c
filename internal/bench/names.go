package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// fillers is how many clients fill a server before its lists are measured.
const fillers = 8

// manyTags returns what puts n tags, each of a manifest of its own, in one
// repository.
func manyTags(n int) func(context.Context, *server) error {
	return func(ctx context.Context, s *server) error {
		if s.prepared["tags"] {
			return nil
		}
		s.prepared["tags"] = true
		c, err := s.newClient(ctx, "tags")
		if err != nil {
			return err
		}
		m, err := c.pushImage(ctx, "tag00000")
		if err != nil {
			return err
		}
		return s.fill(ctx, n, func(ctx context.Context, c *client, i int) error {
			c.repository = project + "/tags"
			own := m
			own.Annotations = map[string]string{"number": strconv.Itoa(i)}
			_, err := c.pushManifest(ctx, own, fmt.Sprintf("tag%05d", i))
			return err
		})
	}
}

// manyRepositories returns what makes n repositories of one image.
func manyRepositories(n int) func(context.Context, *server) error {
	return func(ctx context.Context, s *server) error {
		if s.prepared["repositories"] {
			return nil
		}
		s.prepared["repositories"] = true
		c, err := s.newClient(ctx, "source")
		if err != nil {
			return err
		}
		m, err := c.pushImage(ctx, "latest")
		if err != nil {
			return err
		}
		return s.fill(ctx, n, func(ctx context.Context, c *client, i int) error {
			c.repository = fmt.Sprintf("%s/many/repository%05d", project, i)
			for _, d := range append([]descriptor{m.Config}, m.Layers...) {
				query := url.Values{"mount": {d.Digest}, "from": {project + "/source"}}
				if _, err := c.exchange(ctx, http.MethodPost, c.path("/blobs/uploads/?", query.Encode()), "", nil, http.StatusCreated); err != nil {
					return err
				}
			}
			_, err := c.pushManifest(ctx, m, "latest")
			return err
		})
	}
}

// fill does work n times with several clients, all of one robot account because
// a token would be for one repository.
func (s *server) fill(ctx context.Context, n int, work func(context.Context, *client, int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range fillers {
		c := s.anonymous("")
		c.credential = s.robot
		group.Go(func() error {
			for {
				i := int(next.Add(1))
				if i > n {
					return nil
				}
				if err := work(ctx, c, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// listing reads a whole list again and again, following its links.
func listing(o options, path string, atLeast int) func(context.Context, *server) (sample, error) {
	return func(ctx context.Context, s *server) (sample, error) {
		reader, err := s.newClient(ctx, "tags", "registry:catalog:*")
		if err != nil {
			return sample{}, err
		}
		return rate(ctx, o.window, []*client{reader}, func(ctx context.Context, c *client) error {
			n, err := c.list(ctx, path)
			if err == nil && n < atLeast {
				err = fmt.Errorf("the list has %d names, not %d", n, atLeast)
			}
			return err
		})
	}
}

func (c *client) list(ctx context.Context, path string) (n int, err error) {
	var body bytes.Buffer
	for path != "" {
		res, err := c.send(ctx, http.MethodGet, path, "", nil, 0, http.StatusOK)
		if err != nil {
			return n, err
		}
		body.Reset()
		if _, err := body.ReadFrom(res.Body); err != nil {
			return n, err
		}
		if err := res.Body.Close(); err != nil {
			return n, err
		}
		n += countNames(body.Bytes())
		path = next(res.Header.Get("Link"))
	}
	return n, nil
}

// countNames counts the strings in the one array of a list. It does not parse
// them: that would take longer than the server takes to make them.
func countNames(body []byte) int {
	_, array, _ := bytes.Cut(body, []byte("["))
	return bytes.Count(array, []byte{'"'}) / 2
}

// next reads the path of the next page from a Link header (RFC 8288).
func next(link string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	return path
}
