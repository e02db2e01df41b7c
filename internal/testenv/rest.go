package testenv

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// maxBody bounds what a JSON call reads, in bytes.
const maxBody = 64 << 20

// Do sends one request as a user (Basic authentication; an empty user sends
// none) with body as JSON when it is not nil. The answer's body is read whole
// and may be read again by the caller, who need not close it.
func (s *Server) Do(t testing.TB, method, path, user, password string, body any) *http.Response {
	t.Helper()
	var payload io.Reader
	if body != nil {
		payload = bytes.NewReader(marshal(t, body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	res, err := s.Client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(data))
	return res
}

// JSON is Do that demands a status and decodes the answer into out when out is
// not nil. It returns the answer, with its body still to be read, for a look at
// headers such as Location and X-Total-Count.
func (s *Server) JSON(t testing.TB, method, path, user, password string, body any, wantStatus int, out any) *http.Response {
	t.Helper()
	res := s.Do(t, method, path, user, password, body)
	data, _ := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(data))
	if res.StatusCode != wantStatus {
		t.Fatalf("%s %s as %q answered %s, want %d\n%s", method, path, user, res.Status, wantStatus, data)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: the answer is not the JSON asked for: %v\n%s", method, path, err, data)
		}
	}
	return res
}
