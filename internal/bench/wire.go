package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// wire repeats one request over a connection of HTTP/1.1. It costs a fraction
// of what an http.Client does, so that the rate of small requests tells of the
// server and not of the load generator, which share the processors.
type wire struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	body    bool // the answer has one
}

// wire opens a connection for a request of the client.
func (s *server) wire(ctx context.Context, c *client, method, path string) (*wire, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), body: method != http.MethodHead}
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: %s\r\n", method, path, s.address(), manifestType)
	if c.credential != "" {
		fmt.Fprintf(&request, "Authorization: %s\r\n", c.credential)
	}
	request.WriteString("\r\n")
	w.request = request.Bytes()
	return w, nil
}

// exchange sends the request and reads the answer, which must be 200.
func (w *wire) exchange() error {
	if _, err := w.conn.Write(w.request); err != nil {
		return err
	}
	status, err := w.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %s", status)
	}
	length, err := w.header()
	if err != nil || !w.body {
		return err
	}
	_, err = w.reader.Discard(length)
	return err
}

// header reads to the end of the header and returns the length of the body.
func (w *wire) header() (int, error) {
	length := -1
	for {
		line, err := w.reader.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 && w.body {
		return 0, errors.New("the answer has no Content-Length")
	}
	return length, nil
}
