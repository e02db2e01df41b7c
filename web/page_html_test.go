package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser is what a person has at hand: it keeps cookies, follows redirects and
// fills in the forms that a page has. It finds things as people do, by what
// they are and by their names.
type browser struct {
	s       *server
	cookies map[string]string
	header  http.Header
}

// screen is a page that the browser has open.
type screen struct {
	*testing.T
	browser *browser
	path    string
	status  int
	header  http.Header
	root    *html.Node
}

// browser opens the browser of someone; with a name it is signed in.
func (s *server) browser(t *testing.T, user string) *browser {
	t.Helper()
	b := &browser{s: s, cookies: map[string]string{}, header: http.Header{}}
	if user != "" {
		page := b.get(t, "/login").submit("Sign in", url.Values{"User name": {user}, "Password": {password}})
		if page.status != 200 || b.cookies["__Host-breakwater"] == "" {
			t.Fatalf("%s cannot sign in: %d\n%s", user, page.status, page.text())
		}
	}
	return b
}

func (b *browser) get(t *testing.T, path string) *screen {
	t.Helper()
	return b.open(t, http.MethodGet, path, "")
}

// open follows up to five redirects, within this server only.
func (b *browser) open(t *testing.T, method, path, form string) *screen {
	t.Helper()
	for range 5 {
		w := b.send(t, method, path, form)
		if w.Code != http.StatusSeeOther {
			root, err := html.Parse(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			return &screen{t, b, path, w.Code, w.Header(), root}
		}
		method, path, form = http.MethodGet, w.Header().Get("Location"), ""
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
			t.Fatalf("redirected away from the server to %q", path)
		}
	}
	t.Fatalf("redirected in circles at %s", path)
	return nil
}

// send makes one request as browsers do.
func (b *browser) send(t *testing.T, method, path, form string) *httptest.ResponseRecorder {
	t.Helper()
	kind := ""
	if form != "" || method == http.MethodPost {
		kind = "application/x-www-form-urlencoded"
	}
	return b.sendAs(t, method, path, form, kind)
}

// sendAs is send of a body of another type.
func (b *browser) sendAs(t *testing.T, method, path, form, kind string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form))
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	for name, values := range b.header {
		r.Header[name] = values
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := b.s.serve(r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
		if !strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s %s sets an unsafe cookie: %v", method, path, c)
		}
	}
	return w
}

// all returns the elements that match, in the order of the document.
func (d *screen) all(match func(*html.Node) bool) []*html.Node {
	var found []*html.Node
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && match(n) {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// textOf is what one reads in an element, with single spaces.
func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && c.Parent.Data != "script" && c.Parent.Data != "style" && c.Parent.Data != "title" {
			b.WriteString(c.Data)
			if c.NextSibling == nil || c.NextSibling.Data != "wbr" { // a word goes on behind those
				b.WriteString(" ")
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// nameOf is the name of an element for a screen reader.
func nameOf(n *html.Node) string {
	if label := attr(n, "aria-label"); label != "" {
		return label
	}
	return textOf(n)
}

func (d *screen) text() string { return textOf(d.root) }

// role finds the element of a kind (h1, a, button, ...) with that name, or nil.
func (d *screen) role(kind, name string) *html.Node {
	for _, n := range d.all(func(n *html.Node) bool { return n.Data == kind }) {
		if nameOf(n) == name {
			return n
		}
	}
	return nil
}

// field finds the input with that label; nil when there is none.
func (d *screen) field(label string) *html.Node {
	for _, l := range d.all(func(n *html.Node) bool { return n.Data == "label" }) {
		text := textOf(l)
		if text != label && !strings.HasPrefix(text, label+" ") {
			continue
		}
		for _, n := range d.all(func(n *html.Node) bool { return slices.Contains([]string{"input", "select", "textarea"}, n.Data) }) {
			if id := attr(l, "for"); id != "" && attr(n, "id") == id || within(n, l) {
				return n
			}
		}
	}
	return nil
}

func within(n, outer *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if n == outer {
			return true
		}
	}
	return false
}

// describedBy is the text that belongs to a field, such as its error.
func (d *screen) describedBy(n *html.Node) string {
	var texts []string
	for id := range strings.FieldsSeq(attr(n, "aria-describedby")) {
		for _, part := range d.all(func(n *html.Node) bool { return attr(n, "id") == id }) {
			texts = append(texts, textOf(part))
		}
	}
	return strings.Join(texts, " ")
}

// want demands a status and that these texts are on the page.
func (d *screen) want(status int, texts ...string) *screen {
	d.Helper()
	all := d.text()
	if d.status != status {
		d.Fatalf("%s = %d, want %d\n%s", d.path, d.status, status, all)
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			d.Errorf("%s does not say %q:\n%s", d.path, text, all)
		}
	}
	return d
}

// click follows the link with that name.
func (d *screen) click(name string) *screen {
	d.Helper()
	link := d.role("a", name)
	if link == nil {
		d.Fatalf("%s has no link %q:\n%s", d.path, name, d.text())
	}
	return d.browser.get(d.T, attr(link, "href"))
}

// submit presses the button with that name after filling in the fields by
// their labels; a value that is an option's text of a radio group or a select
// is chosen by its value.
func (d *screen) submit(button string, fields url.Values) *screen {
	d.Helper()
	pressed := d.role("button", button)
	if pressed == nil {
		d.Fatalf("%s has no button %q:\n%s", d.path, button, d.text())
	}
	form := pressed
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil {
		d.Fatalf("%s: the button %q belongs to no form", d.path, button)
	}
	values := d.successful(form)
	if name := attr(pressed, "name"); name != "" {
		values.Set(name, attr(pressed, "value"))
	}
	for label, value := range fields {
		field := d.field(label)
		if field == nil || !within(field, form) {
			d.Fatalf("%s: the form has no field %q", d.path, label)
		}
		values[attr(field, "name")] = value
	}
	if attr(form, "method") != "post" {
		return d.browser.get(d.T, attr(form, "action")+"?"+values.Encode())
	}
	return d.browser.open(d.T, http.MethodPost, attr(form, "action"), values.Encode())
}

// successful are the controls of a form as HTML sends them when nothing is changed.
func (d *screen) successful(form *html.Node) url.Values {
	values := url.Values{}
	for _, n := range d.all(func(n *html.Node) bool { return within(n, form) && attr(n, "name") != "" && !hasAttr(n, "disabled") }) {
		switch {
		case n.Data == "textarea":
			values.Add(attr(n, "name"), textOf(n))
		case n.Data == "select":
			values.Add(attr(n, "name"), selected(n))
		case n.Data != "input":
		case attr(n, "type") == "radio" || attr(n, "type") == "checkbox":
			if hasAttr(n, "checked") {
				values.Add(attr(n, "name"), attr(n, "value"))
			}
		default:
			values.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	return values
}

// selected is the value of a select: its selected option, else the first.
func selected(n *html.Node) string {
	value, first := "", true
	for o := range n.Descendants() {
		if o.Data == "option" && (first || hasAttr(o, "selected")) {
			value, first = attr(o, "value"), false
		}
	}
	return value
}
