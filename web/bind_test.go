package web_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestBodiesAreReadStrictly(t *testing.T) {
	s := newServer(t)
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	tests := []struct {
		name, body, want string
	}{
		{"empty", ``, "where JSON is needed"},
		{"null", `null`, "must be a JSON object"},
		{"a word", `"amy"`, "must be a JSON object"},
		{"an array", `[]`, "expected form"},
		{"not JSON", `username=amy`, "not valid JSON at byte 1"},
		{"cut off", `{"username":"am`, "ends too early"},
		{"trailing data", `{"username":"amy"}{"username":"bob"}`, "something after"},
		{"trailing garbage", `{"username":"amy"} x`, "something after"},
		{"duplicate key", `{"username":"amy","username":"bob"}`, `the key "username" twice`},
		{"duplicate key in another case", `{"username":"amy","UserName":"bob"}`, `the key "UserName" twice`},
		{"duplicate key by folding", "{\"username\":\"amy\",\"u\u017fername\":\"bob\"}", "twice"},
		{"duplicate key by escape", `{"username":"amy","\u0075sername":"bob"}`, "twice"},
		{"nested duplicate key", `{"x":[{"a":1,"a":2}]}`, `the key "a" twice`},
		{"invalid UTF-8", "{\"username\":\"\xff\"}", "not valid UTF-8"},
		{"too deep", `{"x":` + deep + `}`, "deeper than 32"},
		{"too large", `{"username":"` + strings.Repeat("a", 1<<20) + `"}`, "larger than 1048576 bytes"},
	}
	for _, tt := range tests {
		w := s.serve(request(t, http.MethodPost, "/api/v2.0/users", "admin", tt.body))
		want := http.StatusBadRequest
		if tt.name == "too large" {
			want = http.StatusRequestEntityTooLarge
		}
		if _, message := envelope(t, w); w.Code != want || !strings.Contains(message, tt.want) {
			t.Errorf("%s: %d %q, want %d ...%s...", tt.name, w.Code, message, want, tt.want)
		}
	}
}

func TestWrongTypeNamesTheField(t *testing.T) {
	s := newServer(t)
	w := s.do(t, http.MethodPost, "/api/v2.0/users", "admin", `{"username":12}`, 400)
	if _, message := envelope(t, w); !strings.Contains(message, `"username"`) || strings.Contains(message, "struct") {
		t.Errorf("message = %q", message)
	}
}
