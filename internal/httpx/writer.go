package httpx

import (
	"io"
	"net/http"
	"os"
)

// Writer is a ResponseWriter that remembers what was answered. Unlike most
// wrappers it passes ReadFrom through, so that net/http can still hand a file
// to the kernel (sendfile).
type Writer struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
}

// Status returns the status that was sent; 200 when nothing was, as net/http
// then answers 200.
func (w *Writer) Status() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// WriteHeader sends the status. Informational ones are not the answer yet.
func (w *Writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends p.
func (w *Writer) Write(p []byte) (int, error) {
	w.began()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom sends all of src: a file by sendfile where the connection can, else
// by Write, because the ReadFrom of net/http sends the header in a packet of
// its own before it looks at src.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	w.began()
	out := io.Writer(w.ResponseWriter)
	if !isFile(src) {
		out = struct{ io.Writer }{out}
	}
	n, err := io.Copy(out, src) // which calls ReadFrom when there is one
	w.bytes += n
	return n, err
}

// isFile says whether src is a file or the beginning of one.
func isFile(src io.Reader) bool {
	if limited, ok := src.(*io.LimitedReader); ok {
		src = limited.R
	}
	_, ok := src.(*os.File)
	return ok
}

// Flush sends what is buffered.
func (w *Writer) Flush() {
	w.began()
	_ = http.NewResponseController(w.ResponseWriter).Flush() // not supported means nothing is buffered
}

// Unwrap serves http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *Writer) began() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}
