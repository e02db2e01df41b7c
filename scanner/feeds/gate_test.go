package feeds_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/scanner/feeds"
)

// TestMain silences claircore, which logs to the default logger.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// TestRedirects has a source send the scanner to places where it must not go.
func TestRedirects(t *testing.T) {
	reached := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inner.Close()
	_, port, err := net.SplitHostPort(inner.Listener.Addr().String())
	must(t, err)
	for _, test := range []struct{ name, to, want string }{
		{"address of the inner network", inner.URL, "is not a public address"},
		{"address of the metadata service", "http://169.254.169.254/latest/meta-data/", "is not a public address"},
		{"address in IPv6", "http://[::ffff:127.0.0.1]:" + port + "/", "is not a public address"},
		{"name of the inner network", "http://localhost:" + port + "/", "is not a public address"},
		{"password", "http://user:secret@192.0.2.1/", "with a password"},
		{"other scheme", "file:///etc/passwd", "less safe"},
		{"loop", "json", "more than 5 redirects"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, s := newMirror(t), newSite(t)
			m.redirect("/debian/json", test.to)
			text := s.update(t, m.feed("debian"), false).Summary()
			if !strings.Contains(text, test.want) || strings.Contains(text, "secret") {
				t.Errorf("the error is %q, want %q", text, test.want)
			}
			if reached || len(s.store.part) > 0 {
				t.Error("the other server was asked")
			}
		})
	}
	t.Run("within the mirror", func(t *testing.T) {
		m, s := newMirror(t), newSite(t)
		m.put("/elsewhere/json", testdata(t, "debian/json"))
		m.redirect("/debian/json", "../elsewhere/json")
		if text := s.update(t, m.feed("debian"), false).Summary(); text != "" {
			t.Error(text)
		}
	})
}

// redirect has the mirror send on whoever asks for the file.
func (m *mirror) redirect(name, to string) {
	inner := m.Config.Handler
	m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == name {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// TestForeignAddresses has files of a source name other servers.
func TestForeignAddresses(t *testing.T) {
	m, s := newMirror(t), newSite(t)
	other := newMirror(t)
	m.put("/amazon/cdn/2/core/latest/x86_64/mirror.list", []byte(other.URL+"/amazon/cdn/2/core/2.0/x86_64/221a4af0\n"))
	text := s.update(t, m.feed("amazon"), false).Summary()
	if !strings.Contains(text, "aws-AL2-updater: ") || !strings.Contains(text, "is not below an address of this feed") {
		t.Errorf("a mirror list with a foreign server: %q", text)
	}
	m.put("/redhat/vex/archive_latest.txt", []byte(other.URL+"/redhat/vex/csaf_vex_2024-10-01.tar.zst"))
	text = s.update(t, m.feed("redhat"), false).Summary()
	if !strings.Contains(text, "is not below an address of this feed") {
		t.Errorf("an archive on a foreign server: %q", text)
	}
	if asked := other.asked(); len(asked) > 0 {
		t.Errorf("the foreign server was asked for %v", asked)
	}
}

// TestProxy reads a feed of a server that only the proxy knows.
func TestProxy(t *testing.T) {
	m, s := newMirror(t), newSite(t)
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.URL.Host)
		m.Config.Handler.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	feed := m.feed("kev")
	feed.URLs["catalog"] = "http://mirror.example/kev/known_exploited_vulnerabilities.json"
	result, err := s.Update(t.Context(), feeds.Wish{Feed: feed, Proxy: feeds.Proxy{URL: proxy.URL}}, nil)
	must(t, err)
	if text := result.Summary(); text != "" || len(through) == 0 || through[0] != "mirror.example" {
		t.Errorf("through the proxy: %v, %q", through, text)
	}
	through = nil
	result, err = s.Update(t.Context(), feeds.Wish{Feed: m.feed("kev"), Proxy: feeds.Proxy{URL: proxy.URL, None: "127.0.0.1"}}, nil)
	must(t, err)
	if text := result.Summary(); text != "" || len(through) > 0 {
		t.Errorf("beside the proxy: %v, %q", through, text)
	}
}

// TestUnreachable tells a source that nobody listens at, for every feed.
func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := "http://" + listener.Addr().String() + "/"
	must(t, listener.Close())
	for _, set := range core.FeedSets() {
		s := newSite(t)
		feed := core.Feed{FeedSet: set, URLs: map[string]string{}}
		for _, source := range set.Sources {
			feed.URLs[source.Name] = address
		}
		result := s.update(t, feed, false)
		if text := result.Summary(); !strings.Contains(text, "connection refused") || !strings.Contains(text, address) {
			t.Errorf("%s: %q", set.Name, text)
		}
	}
}

// TestEmptySource answers as the wrong folder of a right server does.
func TestEmptySource(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, set := range core.FeedSets() {
		s := newSite(t)
		feed := core.Feed{FeedSet: set, URLs: map[string]string{}}
		for _, source := range set.Sources {
			feed.URLs[source.Name] = server.URL + "/"
		}
		if text := s.update(t, feed, false).Summary(); !strings.Contains(text, "404") {
			t.Errorf("%s: %q", set.Name, text)
		}
	}
}

// TestDataThatVanishes keeps what a source suddenly has no data of.
func TestDataThatVanishes(t *testing.T) {
	m, s := newMirror(t), newSite(t)
	s.update(t, m.feed("debian"), false)
	before := content(s.store)
	m.put("/debian/json", []byte("{}"))
	if text := s.update(t, m.feed("debian"), false).Summary(); !strings.Contains(text, "the 5 records of before stay") {
		t.Errorf("an empty file: %q", text)
	}
	if content(s.store) != before {
		t.Error("the data is gone")
	}
	fresh := newSite(t)
	if text := fresh.update(t, m.feed("debian"), false).Summary(); !strings.Contains(text, "holds no data") {
		t.Errorf("an empty file at first: %q", text)
	}
}

// TestFullDisk stops when there is no room.
func TestFullDisk(t *testing.T) {
	m, s := newMirror(t), newSite(t)
	s.Limits.Stall = time.Minute
	m.fault("/debian/json", "slow")
	s.Room = func() error { return fmt.Errorf("the disk is full") }
	result, err := s.Update(t.Context(), feeds.Wish{Feed: m.feed("debian")}, nil)
	if err == nil || !strings.Contains(result.Summary(), "the disk is full") {
		t.Errorf("without room: %q, %v", result.Summary(), err)
	}
}
