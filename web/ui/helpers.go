package ui

import (
	"context"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// themeAttr is written only when the reader has chosen: else the system decides.
func themeAttr(f Frame) templ.Attributes {
	if f.Theme == "" {
		return nil
	}
	return templ.Attributes{"data-theme": f.Theme}
}

func firstLetter(name string) string {
	r, _ := utf8.DecodeRuneInString(name)
	if r == utf8.RuneError {
		return ""
	}
	return string(r)
}

// userLinks are the entries of the account's own menu.
func userLinks(ctx context.Context, f Frame) []NavLink {
	links := []NavLink{{Path: "/profile", Icon: "user", Label: t(ctx, "profile.title")}}
	if f.HasCA {
		links = append(links, NavLink{Path: "/certificate", Icon: "download", Label: t(ctx, "frame.certificate")})
	}
	return append(links, NavLink{Path: "/about", Icon: "info", Label: t(ctx, "about.title")})
}

func boolAttr(b bool) string { return strconv.FormatBool(b) }

// kindIcon is the picture of a message; a colour alone says nothing.
func kindIcon(kind string) string {
	switch kind {
	case "ok":
		return "check"
	case "warn", "danger":
		return "warn"
	}
	return "info"
}

// shortDigest cuts a digest to n of its hex digits.
func shortDigest(digest string, n int) string {
	_, hex, ok := strings.Cut(digest, ":")
	if !ok {
		hex = digest
	}
	return hex[:min(n, len(hex))]
}

func gaugeClass(percent int) string {
	switch {
	case percent >= 90:
		return "gauge gauge-danger"
	case percent >= 75:
		return "gauge gauge-warn"
	}
	return "gauge"
}

// percent is the share of used in total, from 0 to 100.
func percent(used, total int64) int {
	if total <= 0 {
		return 0
	}
	return int(min(100, max(0, float64(used)/float64(total)*100)))
}

func inputType(typ string) string {
	if typ == "" {
		return "text"
	}
	return typ
}

// fieldAttrs are the attributes of an input that not every input has.
func fieldAttrs(f Field) templ.Attributes {
	all := templ.Attributes{}
	for name, value := range map[string]string{"placeholder": f.Placeholder, "autocomplete": f.Autocomplete, "aria-describedby": described(f)} {
		if value != "" {
			all[name] = value
		}
	}
	if f.MaxLength > 0 {
		all["maxlength"] = strconv.Itoa(f.MaxLength)
	}
	if f.Error != "" {
		all["aria-invalid"] = "true"
	}
	all["required"], all["autofocus"] = f.Required, f.Focus
	for name, value := range f.Attrs {
		all[name] = value
	}
	return all
}

func choiceAttrs(c Choice) templ.Attributes {
	all := templ.Attributes{"data-submit": c.Submit}
	if ids := described(Field{Name: c.Name, Hint: c.Hint, Error: c.Error}); ids != "" {
		all["aria-describedby"] = ids
	}
	if c.Error != "" {
		all["aria-invalid"] = "true"
	}
	return all
}

func disabledAttr(disabled bool) templ.Attributes { return templ.Attributes{"disabled": disabled} }

// loginAttrs keep phones from capitals in a user name.
func loginAttrs(disabled bool) templ.Attributes {
	return templ.Attributes{"disabled": disabled, "autocapitalize": "none", "spellcheck": "false"}
}

func visibilityIcon(public bool) string {
	if public {
		return "globe"
	}
	return "lock"
}

func visibilityWord(ctx context.Context, public bool) string {
	if public {
		return t(ctx, "projects.public")
	}
	return t(ctx, "projects.private")
}

func accessValue(public bool) string {
	if public {
		return "public"
	}
	return "private"
}

func publicHint(anonymous bool) string {
	if anonymous {
		return "projects.access.public"
	}
	return "projects.access.public.accounts"
}

func limitText(ctx context.Context, bytes int64) string {
	if bytes < 0 {
		return t(ctx, "projects.no-limit")
	}
	return i18n.Bytes(ctx, bytes)
}

// nameAttrs keep phones from capitals and corrections in a name.
func nameAttrs() templ.Attributes {
	return templ.Attributes{"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}
}

func numberAttrs() templ.Attributes { return templ.Attributes{"inputmode": "numeric"} }

// commandLines writes each command after a prompt. White space counts there, so
// it is not left to a template; a line may break behind the slashes of a path.
func commandLines(commands []string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for _, command := range commands {
			b.WriteString(`<span class="cmd"><span class="prompt">$ </span>`)
			for i, part := range breakable(command) {
				if i > 0 {
					b.WriteString("<wbr>")
				}
				b.WriteString(templ.EscapeString(part))
			}
			b.WriteString("</span>")
		}
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// ShellWord writes text so that a shell reads it as one word.
func ShellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@+", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// activityNote says whose pulls the charts show.
func activityNote(ctx context.Context, whole bool) string {
	if whole {
		return ""
	}
	return t(ctx, "overview.activity.own")
}
