package feeds

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Proxy is how outgoing requests leave. The zero value is what the environment
// says: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
type Proxy struct {
	URL  string // http or https
	None string // hosts that are reached without it, as in NO_PROXY
}

func (p Proxy) function() func(*url.URL) (*url.URL, error) {
	if p.URL == "" {
		return httpproxy.FromEnvironment().ProxyFunc()
	}
	return (&httpproxy.Config{HTTPProxy: p.URL, HTTPSProxy: p.URL, NoProxy: p.None}).ProxyFunc()
}

const (
	dialTimeout = 30 * time.Second
	idleTimeout = 30 * time.Second
)

// newTransport makes the connections of one run over a feed. The machines that
// named has, and the proxy, may be anywhere; every other one, to which a source
// redirects, must be public.
func newTransport(p Proxy, named map[string]bool) *http.Transport {
	choose := p.function()
	dialer := &net.Dialer{Timeout: dialTimeout}
	proxies := map[string]bool{}
	for _, text := range []string{"http://any.invalid", "https://any.invalid"} {
		if u, err := url.Parse(text); err == nil {
			if via, err := choose(u); err == nil && via != nil {
				proxies[via.Hostname()] = true
			}
		}
	}
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) { return choose(r.URL) },
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if named[host] || proxies[host] {
				return dialer.DialContext(ctx, network, address)
			}
			guarded := *dialer
			guarded.Control = onlyPublic
			return guarded.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: 2,
	}
}

// onlyPublic is a net.Dialer's Control: it sees the address that a name has.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !isPublic(ip) {
		return fmt.Errorf("%s is not a public address; only an address that an administrator has set may be in the inner network", host)
	}
	return nil
}

// reserved are networks that are not of the internet, beside those that net.IP
// knows (RFC 6890).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
}

func isPublic(ip net.IP) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return false
	}
	address, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	for _, network := range reserved {
		if network.Contains(address.Unmap()) {
			return false
		}
	}
	return true
}
