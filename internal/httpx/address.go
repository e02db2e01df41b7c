package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many entries of X-Forwarded-For are looked at.
const maxHops = 32

// ClientAddress returns the address of the client of r: the peer's own unless
// the peer is in trusted, else the last address of X-Forwarded-For that is not
// of a trusted proxy itself. What stands before that address was written by the
// client and is not believed. The address is invalid when the peer has none,
// as on a Unix socket.
func ClientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for range maxHops {
		if len(hops) == 0 || !contains(trusted, client) {
			break
		}
		hop, err := parseHop(hops[len(hops)-1])
		if err != nil {
			break
		}
		client, hops = hop, hops[:len(hops)-1]
	}
	return client
}

func peer(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

// parseHop reads an address that some proxies write with a port.
func parseHop(text string) (netip.Addr, error) {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap(), err
}

func contains(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(address.WithZone("")) })
}
