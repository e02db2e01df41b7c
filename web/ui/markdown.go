package ui

import (
	"bufio"
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/a-h/templ"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// maxMarkdown is how long a text is read as Markdown, in bytes; a longer one
	// is shown as it is, up to maxPlain characters.
	maxMarkdown = 64 << 10
	maxPlain    = 256 << 10
	// The parser takes the square of how many marks a paragraph has, and of how
	// deep quotes and lists nest. A text with more of them was made to be slow.
	maxMarks  = 800
	maxPrefix = 200 // what quotes and lists put before the text of a line, in bytes
	// maxMarkdownDepth bounds how deep quotes and lists nest.
	maxMarkdownDepth = 12
)

var markdownParser = sync.OnceValue(func() parser.Parser {
	return goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).Parser()
})

// Markdown shows a text that a stranger wrote. Only the elements that are
// written here can come of it: HTML in it is left out, links lead to http,
// https and mailto addresses only, and pictures become links to them.
func Markdown(source string) templ.Component {
	if len(source) > maxMarkdown || slow(source) {
		return plainText(core.Clip(source, maxPlain))
	}
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		content := []byte(source)
		m := markdown{w: bufio.NewWriter(w), source: content, level: 2}
		m.put(`<div class="markdown">`)
		if err := ast.Walk(markdownParser().Parse(text.NewReader(content)), m.node); err != nil {
			return err
		}
		m.put(`</div>`)
		return m.w.Flush()
	})
}

// slow says whether the parser would take long for the text.
func slow(source string) bool {
	marks := 0
	for line := range strings.Lines(source) {
		if strings.TrimSpace(line) == "" {
			marks = 0
			continue
		}
		for _, c := range []byte("*_~[]") {
			marks += strings.Count(line, string(c))
		}
		if marks > maxMarks || len(line)-len(strings.TrimLeft(line, " \t>-+*0123456789.)")) > maxPrefix {
			return true
		}
	}
	return false
}

// markdown writes a document. What is written to w never fails before Flush.
type markdown struct {
	w      *bufio.Writer
	source []byte
	depth  int // of quotes and lists
	level  int // of the last heading
	opened int // of the present heading
	link   int // how many elements a are open: at most one
}

func (m *markdown) put(texts ...string) {
	for _, t := range texts {
		_, _ = m.w.WriteString(t) // bufio keeps the error for Flush
	}
}

// plainElements are the elements of the nodes that need nothing more.
var plainElements = map[ast.NodeKind]string{
	ast.KindParagraph: "p", east.KindStrikethrough: "del", ast.KindListItem: "li",
	east.KindTableHeader: "tr", east.KindTableRow: "tr",
}

// node writes the beginning or the end of a node.
func (m *markdown) node(n ast.Node, entering bool) (ast.WalkStatus, error) {
	if name, ok := plainElements[n.Kind()]; ok {
		m.element(name, entering)
		return ast.WalkContinue, nil
	}
	switch n := n.(type) {
	case *ast.HTMLBlock, *ast.RawHTML:
		return ast.WalkSkipChildren, nil
	case *ast.Blockquote:
		return m.nested("blockquote", entering), nil
	case *ast.List:
		return m.nested(listElement(n), entering), nil
	case *ast.Heading:
		m.heading(n, entering)
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		m.code(n, entering)
	case *ast.ThematicBreak:
		if entering {
			m.put("<hr>")
		}
	case *east.Table:
		m.element("table", entering)
	case *east.TableCell:
		m.element(cellElement(n), entering)
	default:
		return m.inline(n, entering), nil
	}
	return ast.WalkContinue, nil
}

func (m *markdown) inline(n ast.Node, entering bool) ast.WalkStatus {
	switch n := n.(type) {
	case *ast.Emphasis:
		m.element(map[bool]string{true: "strong", false: "em"}[n.Level == 2], entering)
	case *ast.CodeSpan:
		m.element("code", entering)
	case *ast.Link:
		m.anchor(n.Destination, entering)
	case *ast.Image:
		m.anchor(n.Destination, entering)
	case *ast.AutoLink:
		if entering {
			m.autoLink(n)
		}
	case *ast.Text:
		if entering {
			m.text(n)
		}
	case *ast.String:
		if entering {
			m.put(templ.EscapeString(string(n.Value)))
		}
	}
	return ast.WalkContinue
}

func (m *markdown) element(name string, entering bool) {
	if entering {
		m.put("<", name, ">")
	} else {
		m.put("</", name, ">")
	}
}

// nested leaves out what is nested too deep.
func (m *markdown) nested(name string, entering bool) ast.WalkStatus {
	if entering && m.depth == maxMarkdownDepth {
		m.depth++ // its end comes too
		return ast.WalkSkipChildren
	}
	if entering {
		m.depth++
		m.element(name, true)
		return ast.WalkContinue
	}
	if m.depth <= maxMarkdownDepth {
		m.element(name, false)
	}
	m.depth--
	return ast.WalkContinue
}

func listElement(n *ast.List) string {
	if n.IsOrdered() {
		return "ol"
	}
	return "ul"
}

func cellElement(n *east.TableCell) string {
	if n.Parent().Kind() == east.KindTableHeader {
		return "th"
	}
	return "td"
}

// heading begins below the headings of the page, and leaves no level out.
func (m *markdown) heading(n *ast.Heading, entering bool) {
	if entering {
		m.level = min(n.Level+2, m.level+1, 6)
		m.opened = m.level
	}
	m.element("h"+strconv.Itoa(m.opened), entering)
}

func (m *markdown) code(n ast.Node, entering bool) {
	if !entering {
		return
	}
	m.put("<pre><code>")
	for _, line := range n.Lines().Sliced(0, n.Lines().Len()) {
		m.put(templ.EscapeString(string(line.Value(m.source))))
	}
	m.put("</code></pre>")
}

func (m *markdown) text(n *ast.Text) {
	value := n.Segment.Value(m.source)
	if n.IsRaw() || n.Parent().Kind() == ast.KindCodeSpan {
		m.put(templ.EscapeString(string(value)))
	} else {
		html.DefaultWriter.Write(m.w, value)
	}
	switch {
	case n.HardLineBreak():
		m.put("<br>")
	case n.SoftLineBreak():
		m.put("\n")
	}
}

// anchor writes a link where its address is one to go to; else its text only.
func (m *markdown) anchor(destination []byte, entering bool) {
	address, ok := outside(string(util.URLEscape(destination, true)))
	if !ok {
		return
	}
	if entering {
		if m.link++; m.link == 1 {
			m.put(`<a rel="noopener noreferrer nofollow" href="`, templ.EscapeString(address), `">`)
		}
		return
	}
	if m.link--; m.link == 0 {
		m.put("</a>")
	}
}

func (m *markdown) autoLink(n *ast.AutoLink) {
	address := string(n.URL(m.source))
	if n.AutoLinkType == ast.AutoLinkEmail {
		address = "mailto:" + address
	}
	m.anchor([]byte(address), true)
	m.put(templ.EscapeString(string(n.Label(m.source))))
	m.anchor([]byte(address), false)
}

// outside checks the address of a link in a text that a stranger wrote. What is
// relative would lead into the registry's own pages.
func outside(address string) (string, bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil, u.Scheme == "mailto" && u.Opaque != "":
		return u.String(), true
	}
	return "", false
}

// plainText shows a text as it is.
func plainText(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, `<pre class="plain">`+templ.EscapeString(text)+`</pre>`)
		return err
	})
}
