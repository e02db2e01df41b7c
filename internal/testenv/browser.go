package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserPatience bounds every single thing that a test asks of the browser.
const browserPatience = 90 * time.Second

// Chrome is a headless browser with an empty profile, for one test. Its methods
// find things as people do, by their names, wait until they are there, and fail
// the test when they do not come.
type Chrome struct {
	t        testing.TB
	ctx      context.Context
	origin   string // of the server; nothing else may be asked for
	mu       sync.Mutex
	problems []string
	bytes    float64 // received since Forget
}

// Browser starts Debian's chromium for the server at origin. At the end of the
// test, a violation of the content security policy, a message on the console's
// error level, a script that threw and a request to another server fail it.
func Browser(t testing.TB, origin string) *Chrome {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(tool(t, "chromium", "chromium")), chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en"),
		// The server's CA is its own; that clients trust it is another test's matter.
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeTab := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	b := &Chrome{t: t, ctx: ctx, origin: origin}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("end the browser: %v", err)
		}
		closeTab()
		stop()
		_ = os.RemoveAll(profile)
		for _, problem := range b.problems {
			t.Errorf("the browser complains: %s", problem)
		}
	})
	chromedp.ListenTarget(ctx, b.listen)
	b.Run(network.Enable(), cdplog.Enable(), cdpruntime.Enable(),
		browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorDeny))
	b.dress(look{1440, 900, "light"})
	return b
}

// listen notes what must not happen.
func (b *Chrome) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		expected := e.Entry.Source == cdplog.SourceNetwork && strings.Contains(e.Entry.Text, "the server responded with a status of 4")
		if (e.Entry.Level == cdplog.LevelError || e.Entry.Source == cdplog.SourceSecurity) && !expected {
			b.problems = append(b.problems, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *cdpruntime.EventConsoleAPICalled:
		if e.Type == cdpruntime.APITypeError || e.Type == cdpruntime.APITypeAssert {
			text, _ := json.Marshal(e.Args)
			b.problems = append(b.problems, "console: "+string(text))
		}
	case *cdpruntime.EventExceptionThrown:
		b.problems = append(b.problems, "script: "+e.ExceptionDetails.Error())
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme+"://"+u.Host != b.origin && u.Scheme != "about" && u.Scheme != "data" { // data: is chromium's own pictures, such as a date field's
			b.problems = append(b.problems, "a request to elsewhere: "+e.Request.URL)
		}
	case *network.EventLoadingFinished:
		b.bytes += e.EncodedDataLength
	}
}

// Run performs actions of chromedp.
func (b *Chrome) Run(actions ...chromedp.Action) {
	b.t.Helper()
	// The first Run starts the browser, which must outlive the time limit.
	if err := chromedp.Run(b.ctx); err != nil {
		b.t.Fatalf("start the browser: %v", err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("the browser: %v\n%s", err, b.where())
	}
}

// where tells what the browser shows, for a test that failed.
func (b *Chrome) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	var path, text string
	if err := chromedp.Run(ctx, chromedp.Location(&path), chromedp.Evaluate(`document.body.innerText.slice(0, 3000)`, &text)); err != nil {
		return "what it shows is unknown: " + err.Error()
	}
	return "it shows " + path + ":\n" + text
}

// Goto opens a path of the server.
func (b *Chrome) Goto(path string) {
	b.t.Helper()
	b.Run(chromedp.Navigate(b.origin + path))
}

// find is the script that finds an element by its name as it is read out:
// buttons and links by their text or label, fields by their label. On a page that
// is being left it finds nothing, so that no button of it is pressed in place of
// the next page's; an answer that is a download leaves no page, hence the limit.
const find = `(kind, name) => {
	if (window.leftAt > Date.now() - 5000) return null;
	const text = (e) => (e.getAttribute("aria-label") || e.innerText || e.textContent).replace(/\s+/g, " ").trim();
	const shown = (e) => e.checkVisibility() && !e.closest("[inert]");
	if (kind === "field") {
		for (const l of document.querySelectorAll("label")) {
			const got = text(l);
			if ((got === name || got.startsWith(name + " ")) && l.control && shown(l.control)) return l.control;
		}
		return null;
	}
	return [...document.querySelectorAll(kind === "action" ? "a[href], button, summary" : kind)].find((e) => shown(e) && text(e) === name) || null;
}`

// on runs script, a function of the element, once that is there. The element is
// found anew for it: the page may have been exchanged in between.
func (b *Chrome) on(kind, name, script string) {
	b.t.Helper()
	found := fmt.Sprintf("(%s)(%q, %q)", find, kind, name)
	limit := time.Now().Add(browserPatience)
	for done := false; !done; {
		b.await(fmt.Sprintf("the %s %q", kind, name), "!!"+found)
		b.Run(chromedp.Evaluate(fmt.Sprintf(`((e) => { if (!e) return false; (%s)(e); return true; })(%s)`, script, found), &done))
		if !done && time.Now().After(limit) {
			b.t.Fatalf("the %s %q comes and goes\n%s", kind, name, b.where())
		}
	}
}

// await asks the page again and again until condition is true. A page that is
// being exchanged cannot answer; it is asked again too.
func (b *Chrome) await(what, condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := chromedp.Run(ctx, chromedp.Evaluate(condition, &yes)); err == nil && yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatalf("the browser does not show %s\n%s", what, b.where())
		}
	}
}

// Click presses the button or follows the link with that name.
func (b *Chrome) Click(name string) {
	b.t.Helper()
	b.on("action", name, press)
}

// press is the script of a click. It notes when the page is left with it: by a
// link to another one, or by a form, unless a script of the page steps in.
const press = `(e) => {
	const here = (target) => !target || target === "_self";
	const page = (url) => url.split("#")[0];
	const left = (event) => {
		const goes = event.type === "submit" ? event.target.getAttribute("method") !== "dialog" && here(event.target.getAttribute("target"))
			: e.matches("a[href]") && !e.hasAttribute("download") && here(e.target) && page(e.href) !== page(location.href);
		if (goes && !event.defaultPrevented) window.leftAt = Date.now();
	};
	e.scrollIntoView({block: "center"});
	for (const type of ["click", "submit"]) addEventListener(type, left);
	e.click();
	for (const type of ["click", "submit"]) removeEventListener(type, left);
}`

// Fill types value into the field with that label, in place of what is there.
func (b *Chrome) Fill(label, value string) {
	b.t.Helper()
	b.on("field", label, fmt.Sprintf(`(e) => { e.focus(); e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})); }`, value))
}

// Choose ticks the box or radio button, or selects the field's option, with
// that label.
func (b *Chrome) Choose(label string) {
	b.t.Helper()
	b.on("field", label, `(e) => { if (!e.checked) e.click(); }`)
}

// Attach chooses a file for the field with that id.
func (b *Chrome) Attach(id, path string) {
	b.t.Helper()
	b.Run(chromedp.SetUploadFiles("#"+id, []string{path}, chromedp.ByQuery))
}

// See waits until the page shows text.
func (b *Chrome) See(text string) {
	b.t.Helper()
	b.await(fmt.Sprintf("%q", text), fmt.Sprintf(`document.body.innerText.replace(/\s+/g, " ").includes(%q)`, text))
}

// Gone waits until the page does not show text.
func (b *Chrome) Gone(text string) {
	b.t.Helper()
	b.await(fmt.Sprintf("no %q", text), fmt.Sprintf(`!document.body.innerText.replace(/\s+/g, " ").includes(%q)`, text))
}

// SeeTitle waits until the main heading of the page is text.
func (b *Chrome) SeeTitle(text string) {
	b.t.Helper()
	b.on("h1", text, `() => null`)
}

// Text is all that the page shows.
func (b *Chrome) Text() string {
	b.t.Helper()
	var text string
	b.Run(chromedp.Evaluate(`document.body.innerText`, &text))
	return text
}

// Path is where the browser is, with the query.
func (b *Chrome) Path() string {
	b.t.Helper()
	var path string
	b.Run(chromedp.Evaluate(`location.pathname + location.search`, &path))
	return path
}

// Evaluate runs a script in the page and decodes its result into result.
func (b *Chrome) Evaluate(script string, result any) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(script, result, func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

// Press types a key as chromedp's kb package names it.
func (b *Chrome) Press(keys string) {
	b.t.Helper()
	b.Run(chromedp.KeyEvent(keys))
}

// Forget empties the cache, and begins to count anew what Received tells.
func (b *Chrome) Forget() {
	b.t.Helper()
	b.Run(network.ClearBrowserCache())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes = 0
}

// Received is what came over the network since Forget, in bytes.
func (b *Chrome) Received() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.bytes)
}

// Expect waits for problems that contain text and takes them off the list: for
// tests of the checks themselves.
func (b *Chrome) Expect(text string) {
	b.t.Helper()
	limit := time.After(browserPatience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		if b.takeProblems(text) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			b.t.Fatalf("the browser did not complain about %q", text)
		}
	}
}

func (b *Chrome) takeProblems(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.problems)
	b.problems = slices.DeleteFunc(b.problems, func(problem string) bool { return strings.Contains(problem, text) })
	return len(b.problems) < before
}

// desktopFont shows the pages in the font Inter where the machine has it: what
// system-ui is on a server is none that people have on their desktops.
const desktopFont = `(() => {
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(":root { --sans: Inter, system-ui, sans-serif; }");
	document.adoptedStyleSheets = [sheet];
})()`

// look is one way in which a page is looked at.
type look struct {
	width, height int64
	scheme        string
}

// Shot keeps a picture of the whole page in the folder screenshots, wide and
// narrow, light and dark, named NAME-WIDTH-SCHEME.png. In each of them axe-core
// must find nothing, and nothing may be wider than the window.
func (b *Chrome) Shot(name string) {
	b.t.Helper()
	root, err := moduleRoot()
	if err != nil {
		b.t.Fatal(err)
	}
	folder := filepath.Join(root, "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.Evaluate(desktopFont, nil)
	for _, l := range []look{{1440, 900, "light"}, {1440, 900, "dark"}, {390, 844, "light"}, {390, 844, "dark"}} {
		b.dress(l)
		b.checkPage(fmt.Sprintf("%s at %d %s", name, l.width, l.scheme))
		var picture []byte
		b.Run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
			picture, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
			return err
		}))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", name, l.width, l.scheme)), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	b.dress(look{1440, 900, "light"})
}

// dress sets the window's size and the colours that the system prefers. The
// window is as tall as the page, so that the picture holds all of it.
func (b *Chrome) dress(l look) {
	b.t.Helper()
	size := func(height int64) chromedp.Action {
		return emulation.SetDeviceMetricsOverride(l.width, height, 1, l.width < 600)
	}
	var tall int64
	b.Run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}),
		size(l.height), chromedp.Evaluate(`Math.max(document.documentElement.scrollHeight, document.body.scrollHeight)`, &tall))
	b.Run(size(max(l.height, tall)), chromedp.Evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, nil,
		func(p *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return p.WithAwaitPromise(true) }))
}
