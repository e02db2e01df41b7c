package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
)

// dial opens a connection for HTTP/1.1.
func (s *server) dial(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address())
	if err != nil || s.transport == "plain" {
		return conn, err
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: s.keys.pool, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

// address is the host and port of the server.
func (s *server) address() string {
	return strings.TrimPrefix(strings.TrimPrefix(s.url, "https://"), "http://")
}

// direct sends requests one after the other over one connection of HTTP/1.1,
// each on the goroutine that asks. The two goroutines that an http.Transport
// has for every connection would cost as much as the server takes for a small
// request, on the same processors.
type direct struct {
	server *server
	conn   net.Conn // nil before the first request
	reader *bufio.Reader
	writer *bufio.Writer
}

// RoundTrip sends the request. The body of the answer must be read to its end
// before the next request.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.conn == nil {
		conn, err := d.server.dial(r.Context())
		if err != nil {
			return nil, err
		}
		d.conn, d.reader, d.writer = conn, bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 256<<10)
	}
	res, err := d.exchange(r)
	if err != nil {
		d.CloseIdleConnections()
	}
	return res, err
}

func (d *direct) exchange(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close() //nolint:errcheck // it was read
	}
	if err := r.Write(d.writer); err != nil {
		return nil, err
	}
	if err := d.writer.Flush(); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(d.reader, r)
	if err == nil && res.Close {
		return nil, errors.Join(errors.New("the server closes the connection"), res.Body.Close())
	}
	return res, err
}

// CloseIdleConnections closes the connection.
func (d *direct) CloseIdleConnections() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}
