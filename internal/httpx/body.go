package httpx

import (
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// patience is how long a client may neither send anything of a body nor take
	// anything of an answer before it is cut off.
	patience = 60 * time.Second
	// patientStep is how many bytes of a file a client has to take in that time.
	patientStep = 1 << 20
)

// Patient returns next with deadlines on bodies and answers that move on as
// bytes pass: a large blob may take hours, a stalled client holds nothing for
// long.
func Patient(next http.Handler) http.Handler { return patient{next, patience} }

type patient struct {
	next  http.Handler
	limit time.Duration
}

// ServeHTTP implements http.Handler.
func (p patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &patientWriter{ResponseWriter: w, control: http.NewResponseController(w), limit: p.limit}
	out.deadline(time.Time{}) // that of the request before on this connection
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &patientBody{ReadCloser: r.Body, control: out.control, limit: p.limit}
	}
	p.next.ServeHTTP(out, r)
	out.deadline(time.Now().Add(p.limit)) // for what is still buffered
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
	moved   time.Time
	failed  error
}

// Read implements io.Reader. At the end it lifts the deadline, which would
// otherwise cancel a request that is still being worked on. After a failure
// nobody, net/http included, waits for the rest. A connection that has no
// deadlines, such as one in memory, is read as it is.
func (p *patientBody) Read(buf []byte) (int, error) {
	if p.failed != nil {
		return 0, p.failed
	}
	if now := time.Now(); now.Sub(p.moved) > p.limit/10 {
		p.moved = now
		_ = p.control.SetReadDeadline(now.Add(p.limit))
	}
	n, err := p.ReadCloser.Read(buf)
	if err == io.EOF {
		_ = p.control.SetReadDeadline(time.Time{})
	} else if err != nil {
		p.failed = err
		_ = p.control.SetReadDeadline(time.Now())
	}
	return n, err
}

// patientWriter moves the write deadline on before each part of an answer.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	moved   time.Time
}

// deadline sets the deadline of writes; a connection in memory has none.
func (p *patientWriter) deadline(t time.Time) { _ = p.control.SetWriteDeadline(t) }

func (p *patientWriter) move() {
	if now := time.Now(); now.Sub(p.moved) > p.limit/10 {
		p.moved = now
		p.deadline(now.Add(p.limit))
	}
}

// Write sends buf.
func (p *patientWriter) Write(buf []byte) (int, error) {
	p.move()
	return p.ResponseWriter.Write(buf)
}

// ReadFrom sends all of src, a file in steps: one call of the kernel for all of
// it would leave no time to move the deadline.
func (p *patientWriter) ReadFrom(src io.Reader) (sent int64, err error) {
	file, left := fileOf(src)
	if file == nil {
		return io.Copy(struct{ io.Writer }{p}, src)
	}
	for sent < left {
		p.moved = time.Time{}
		p.move()
		part := &io.LimitedReader{R: file, N: min(patientStep, left-sent)}
		n, err := io.Copy(p.ResponseWriter, part)
		sent += n
		if err != nil || part.N > 0 { // the file has ended
			return sent, err
		}
	}
	return sent, nil
}

// fileOf returns the file that src is, or is the beginning of, and how much of
// it is meant.
func fileOf(src io.Reader) (*os.File, int64) {
	if limited, ok := src.(*io.LimitedReader); ok {
		file, _ := limited.R.(*os.File)
		return file, limited.N
	}
	file, _ := src.(*os.File)
	return file, 1<<63 - 1
}

// Flush sends what is buffered.
func (p *patientWriter) Flush() {
	p.move()
	_ = p.control.Flush() // not supported means nothing is buffered
}

// Unwrap serves http.ResponseController.
func (p *patientWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
