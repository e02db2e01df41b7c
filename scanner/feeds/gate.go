package feeds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// gate lets the updaters of one feed reach the addresses of that feed and
// nothing else. Claircore asks upstream; the gate sends each request to the
// address that an administrator has set in its place, bounds the answers in
// size and time, and remembers what went wrong.
type gate struct {
	next   http.RoundTripper
	routes []route
	hosts  map[string]bool // of the addresses in use, with their ports
	agent  string
	limits Limits
	watch  *watch
}

// route leads what is below from to the address to.
type route struct {
	from string // with a slash at the end when it is a folder
	to   *url.URL
}

// Limits bounds what is read from a source.
type Limits struct {
	Answer   int64         // bytes of one answer
	Unpacked int64         // bytes of one part as it is written to the disk
	Stall    time.Duration // without a byte
	Part     time.Duration // of one part, from the first request to the last row
}

// DefaultLimits are wide enough for every feed. The largest single file, Red
// Hat's archive, has some hundred megabytes.
func DefaultLimits() Limits {
	return Limits{Answer: 4 << 30, Unpacked: 16 << 30, Stall: 2 * time.Minute, Part: 3 * time.Hour}
}

func newGate(feed core.Feed, next http.RoundTripper, agent string, limits Limits, w *watch) (*gate, error) {
	g := &gate{next: next, agent: agent, limits: limits, watch: w, hosts: map[string]bool{}}
	for _, source := range feed.Sources {
		to, err := url.Parse(feed.URL(source))
		if err != nil {
			return nil, fmt.Errorf("the address of %s %s: %w", feed.Name, source.Name, err)
		}
		folder := strings.HasSuffix(source.URL, "/")
		if folder && !strings.HasSuffix(to.Path, "/") && !strings.HasSuffix(to.Path, ".gz") {
			to = to.JoinPath("/") // a folder, written without its slash
		}
		g.routes = append(g.routes, route{source.URL, to})
		g.hosts[to.Host] = true
	}
	return g, nil
}

// hostnames are the machines that the feed's addresses name, without ports.
func (g *gate) hostnames() map[string]bool {
	names := map[string]bool{}
	for _, r := range g.routes {
		names[r.to.Hostname()] = true
	}
	return names
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(request *http.Request) (*http.Response, error) {
	target, err := g.target(request)
	if err != nil {
		g.watch.failed(err)
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	out := request.Clone(ctx)
	out.URL, out.Host = target, target.Host
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", g.agent)
	}
	timer := time.AfterFunc(g.limits.Stall, func() { cancel(errStalled(g.limits.Stall)) })
	response, err := g.next.RoundTrip(out)
	if err != nil {
		timer.Stop()
		cancel(nil)
		err = fmt.Errorf("%s %s: %w", out.Method, target, because(ctx, err))
		g.watch.failed(err)
		return nil, err
	}
	response.Request = request // what follows from it is upstream again
	if to, err := target.Parse(response.Header.Get("Location")); err == nil && response.StatusCode/100 == 3 {
		response.Header.Set("Location", to.String()) // but a redirect is of the server that was asked
	}
	if response.StatusCode >= 400 && response.StatusCode != http.StatusNotFound {
		g.watch.failed(fmt.Errorf("%s %s: %s", out.Method, target, response.Status))
	} else if response.StatusCode == http.StatusNotFound {
		g.watch.absent(fmt.Errorf("%s %s: %s", out.Method, target, response.Status))
	}
	response.Body = &boundedBody{ReadCloser: response.Body, ctx: ctx, cancel: cancel, timer: timer, gate: g, name: target.String(), expect: response.ContentLength}
	if response.ContentLength > g.limits.Answer {
		err := errTooLarge(target.String(), g.limits.Answer)
		g.watch.failed(err)
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}

// target returns where the request goes. A redirect has been looked at before.
func (g *gate) target(request *http.Request) (*url.URL, error) {
	asked := upstreamOf(request.URL)
	for _, r := range g.routes {
		rest, ok := strings.CutPrefix(asked, r.from)
		switch {
		case !ok:
		case strings.HasSuffix(r.from, "/") && strings.HasSuffix(r.to.Path, "/"):
			below, err := url.Parse(r.to.String() + rest)
			if err != nil || below.Host != r.to.Host {
				return nil, fmt.Errorf("%s leads out of %s", asked, r.to)
			}
			return below, nil
		case strings.HasSuffix(r.from, "/") || rest == "":
			return r.to, nil
		}
	}
	if g.hosts[request.URL.Host] || request.Response != nil {
		return request.URL, nil
	}
	return nil, fmt.Errorf("%s is not below an address of this feed", request.URL.Redacted())
}

// upstreamOf writes the address as the feed's sources have it. Amazon's first
// release lists mirrors in all regions, which are the same.
func upstreamOf(u *url.URL) string {
	host := u.Hostname()
	if strings.HasPrefix(host, "packages.") && strings.HasSuffix(host, ".amazonaws.com") {
		return "http://repo.us-west-2.amazonaws.com" + u.EscapedPath()
	}
	if host == "cdn.amazonlinux.com" {
		return "https://cdn.amazonlinux.com" + u.EscapedPath()
	}
	return u.String()
}

const maxRedirects = 5

// redirect is the http.Client's CheckRedirect. The source may send us on, but
// neither to something less safe nor to a machine of the inner network that no
// administrator has named: the dialer sees to names that lead there.
func (g *gate) redirect(request *http.Request, via []*http.Request) error {
	u := request.URL
	from := via[len(via)-1].URL
	if target, err := g.target(via[len(via)-1]); err == nil {
		from = target
	}
	var err error
	ip := net.ParseIP(u.Hostname())
	switch {
	case len(via) > maxRedirects:
		err = fmt.Errorf("%s: more than %d redirects", from, maxRedirects)
	case u.Scheme != "https" && u.Scheme != from.Scheme:
		err = fmt.Errorf("%s redirects to %s, which is less safe", from, u.Redacted())
	case u.User != nil:
		err = fmt.Errorf("%s redirects to an address with a password", from)
	case !g.hosts[u.Host] && ip != nil && !isPublic(ip):
		err = fmt.Errorf("%s redirects to %s, which is not a public address", from, u.Host)
	}
	if err != nil {
		g.watch.failed(err)
	}
	return err
}

// boundedBody ends an answer that is too long, or that stalls.
type boundedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	gate   *gate
	name   string
	expect int64
	read   int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	b.read += int64(n)
	b.gate.watch.received(n)
	if n > 0 {
		b.timer.Reset(b.gate.limits.Stall)
	}
	switch {
	case b.read > b.gate.limits.Answer:
		err = errTooLarge(b.name, b.gate.limits.Answer)
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%s: the answer ends after %d bytes: %w", b.name, b.read, err)
	default:
		err = fmt.Errorf("%s: %w", b.name, because(b.ctx, err))
	}
	b.gate.watch.failed(err)
	return n, err
}

// Close implements io.Closer.
func (b *boundedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// because returns why ctx ended, where that is why err is there.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return cause
	}
	return err
}

func errStalled(d time.Duration) error {
	return fmt.Errorf("no data came for %s", d)
}

func errTooLarge(name string, limit int64) error {
	return fmt.Errorf("%s: the answer is larger than the limit of %d bytes", name, limit)
}
