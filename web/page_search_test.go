package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSearchAtTheBrowser(t *testing.T) {
	s := newServer(t)
	s.do(t, http.MethodPost, "/api/v2.0/projects", "admin", map[string]any{"project_name": "amber"}, 201)
	s.addUser(t, "amy")
	b := s.browser(t, "admin")
	b.get(t, "/search").want(200, "What are you looking for?")
	page := b.get(t, "/search?"+url.Values{"q": {"AM"}}.Encode()).want(200, "Names that contain “AM”", "amber", "amy")
	if link := page.role("a", "amber"); link == nil || attr(link, "href") != "/projects/amber" {
		t.Errorf("the project leads to %v", link)
	}
	b.get(t, "/search?q=nothing-like-it").want(200, "Nothing found")
	text := s.browser(t, "amy").get(t, "/search?q=am").want(200, "Nothing found").text()
	if strings.Contains(text, "amber") {
		t.Error("a hidden project is found")
	}
}
