// Package assets holds the style sheet, scripts and pictures of the user
// interface. They are part of the binary. The address of each holds a hash of
// all of them, so browsers keep them for good and still never mix two releases.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Prefix is the folder of all assets on the server.
const Prefix = "/assets/"

//go:embed files
var embedded embed.FS

// types are the media types of the files by their ending; there is no other.
var types = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// file is one asset. It is compressed when a browser first asks for it: doing
// that with all of them would be a tenth of the time that a start takes.
type file struct {
	media string
	plain []byte
	zip   func() []byte // nil where it would not be smaller
}

type bundle struct {
	hash  string
	files map[string]file
}

// all reads what is embedded, once. It cannot fail at run time: the test of
// this package loads it too.
var all = sync.OnceValue(func() bundle {
	b := bundle{files: map[string]file{}}
	sum := sha256.New()
	entries, err := fs.ReadDir(embedded, "files")
	for _, entry := range entries {
		var content []byte
		if content, err = embedded.ReadFile("files/" + entry.Name()); err != nil {
			break
		}
		sum.Write([]byte(entry.Name() + "\x00"))
		sum.Write(content)
		b.files[entry.Name()] = file{types[ending(entry.Name())], content,
			sync.OnceValue(func() []byte { return compress(content) })}
	}
	if err != nil {
		return bundle{} // every address is then unknown, which is answered with 404
	}
	b.hash = hex.EncodeToString(sum.Sum(nil))[:12]
	return b
})

func ending(name string) string { return name[strings.LastIndexByte(name, '.'):] }

func compress(content []byte) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(content); err != nil {
		return nil
	}
	if err := w.Close(); err != nil || buf.Len() >= len(content) {
		return nil
	}
	return buf.Bytes()
}

// URL returns the address of the asset name, such as breakwater.css.
func URL(name string) string { return Prefix + all().hash + "/" + name }

// Handler serves the assets below Prefix, compressed where the browser takes
// that. An address of another release is 404, never other content.
func Handler() http.Handler {
	b := all()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, Prefix+b.hash+"/")
		f, found := b.files[name]
		if !ok || !found {
			http.Error(w, "there is no such asset; load the page again", http.StatusNotFound)
			return
		}
		header := w.Header()
		header.Set("Content-Type", f.media)
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		header.Set("Vary", "Accept-Encoding")
		body := f.plain
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			if zip := f.zip(); zip != nil {
				header.Set("Content-Encoding", "gzip")
				body = zip
			}
		}
		header.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // the browser is gone: nobody is left to tell
		}
	})
}

// takesGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, isWeight := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			value, err := strconv.ParseFloat(q, 64)
			return !isWeight || err == nil && value > 0
		}
	}
	return false
}
