package ui_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/breakwater-registry/breakwater/web/ui"
)

func markdown(t *testing.T, source string) string {
	t.Helper()
	var b strings.Builder
	if err := ui.Markdown(source).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `<div class="markdown">`), "</div>")
}

func TestMarkdown(t *testing.T) {
	link := `<a rel="noopener noreferrer nofollow" href="`
	for _, test := range []struct{ source, want string }{
		{"one *two* **three** `<four>` ~~five~~", "<p>one <em>two</em> <strong>three</strong> <code>&lt;four&gt;</code> <del>five</del></p>"},
		{"# A\n### B\n## C\n", "<h3>A</h3><h4>B</h4><h4>C</h4>"},
		{"- a\n- b\n", "<ul><li>a</li><li>b</li></ul>"},
		{"1. a\n", "<ol><li>a</li></ol>"},
		{"> q\n", "<blockquote><p>q</p></blockquote>"},
		{"```sh\na <b> & c\n```", "<pre><code>a &lt;b&gt; &amp; c\n</code></pre>"},
		{"a  \nb\nc", "<p>a<br>b\nc</p>"},
		{"&copy; \\*x\\* \"q\"", "<p>© *x* &quot;q&quot;</p>"},
		{"| a | b |\n|---|:-:|\n| 1 | 2 |\n", "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"},
		{"[x](https://a.example/?a=1&b=2)", "<p>" + link + `https://a.example/?a=1&amp;b=2">x</a></p>`},
		{"<https://a.example>", "<p>" + link + `https://a.example">https://a.example</a></p>`},
		{"<a@b.example>", "<p>" + link + `mailto:a@b.example">a@b.example</a></p>`},
		{"![alt](https://a.example/p.png)", "<p>" + link + `https://a.example/p.png">alt</a></p>`},
		{"[![alt](https://a.example/p.png)](https://b.example)", "<p>" + link + `https://b.example">alt</a></p>`},
		{"[x](/projects) [y](#z) [w](//evil.example)", "<p>x y w</p>"},
		{"[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,x) [v](vbscript:x)", "<p>x y z v</p>"},
		{"[x](java\nscript:alert(1)) <javascript:alert(1)>", "<p>[x](java\nscript:alert(1)) javascript:alert(1)</p>"},
		{"[x](https://user:secret@a.example)", "<p>x</p>"},
		{"<script>alert(1)</script>\n\ntext <b onclick=x>bold</b> <!-- c -->", "<p>text bold </p>"},
		{"<img src=x onerror=alert(1)>", ""},
		{`[x](https://a.example/"onmouseover="x)`, "<p>" + link + `https://a.example/%22onmouseover=%22x">x</a></p>`},
		{`[x](https://a.example "t' onclick='y")`, "<p>" + link + `https://a.example">x</a></p>`},
	} {
		if got := strings.TrimSpace(markdown(t, test.source)); got != test.want {
			t.Errorf("%q\n gives %s\n want  %s", test.source, got, test.want)
		}
	}
}

// Whatever is written, only these elements and attributes come of it.
func TestMarkdownKeepsToItsElements(t *testing.T) {
	allowed := " html head body div p del li tr strong em code blockquote ol ul h3 h4 h5 h6 pre hr table tbody th td br a "
	pieces := []string{"# a\n", "[b](https://c)", "<i onclick=x>", "\n> - 1. ", "`", "\n\n|a|\n|-|\n|b|\n", "![a](data:b)", "&lt;script&gt;", "<script>",
		"</div>", "\n\n<div>\n", "**", "~~", "[a]: https://b \"c\"\n", "\"onload=", "<!--", "-->", "]]>", "\n```\n", "    ", "\\", "<a@b.c>"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var source strings.Builder
		for range 1 + random.IntN(14) {
			source.WriteString(pieces[random.IntN(len(pieces))])
		}
		root, err := html.Parse(strings.NewReader(markdown(t, source.String())))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			if n.Type == html.CommentNode || n.Type == html.ElementNode && !strings.Contains(allowed, " "+n.Data+" ") {
				t.Errorf("%q gives the element %q", source.String(), n.Data)
			}
			for _, a := range n.Attr {
				if n.Data != "a" || a.Key != "rel" && a.Key != "href" || a.Key == "href" && !strings.HasPrefix(a.Val, "https://c") && !strings.HasPrefix(a.Val, "https://b") && !strings.HasPrefix(a.Val, "mailto:") {
					t.Errorf("%q gives the attribute %s=%q", source.String(), a.Key, a.Val)
				}
			}
		}
	}
}

// Texts that are made to be slow are shown as they are, or are not slow.
func TestMarkdownIsBounded(t *testing.T) {
	pieces := []string{"[", "![", "> ", ">", "*a_", "a**b", "*_", "~~a~", "`", "<", "- ", "1. ", "[a](", "[]", "](", "[a]: b\n", "&#", "|a|\n|-|\n", "\\", "  * a\n"}
	for _, piece := range pieces {
		for _, paragraph := range []string{strings.Repeat(piece, 64<<10), strings.Repeat(piece, 250) + "\n\n", strings.Repeat(piece, 12) + "\n", strings.Repeat(piece, 30) + "a\n"} {
			source := strings.Repeat(paragraph, 1+(64<<10)/len(paragraph))[:64<<10]
			begin := time.Now()
			got := markdown(t, source)
			if spent := time.Since(begin); spent > 3*time.Second {
				t.Errorf("%d times %.40q took %v", 1+(64<<10)/len(paragraph), paragraph, spent)
			}
			if strings.Contains(got, strings.Repeat("<blockquote>", 13)) {
				t.Errorf("%.40q nests too deep", paragraph)
			}
		}
	}
	if got := markdown(t, strings.Repeat("# a\n", 20_000)); !strings.HasPrefix(got, `<pre class="plain"># a`) {
		t.Errorf("a long text gives %.60s", got)
	}
}
