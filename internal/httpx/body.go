package httpx

import (
	"io"
	"net/http"
	"time"
)

// patience is how long a client may send nothing of a body before it is cut off.
const patience = 60 * time.Second

// PatientBody returns next with a read deadline on bodies that moves on as
// bytes arrive: a large blob may take hours, a stalled client holds nothing for
// long.
func PatientBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		}
		next.ServeHTTP(w, r)
	})
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
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
	if now := time.Now(); now.Sub(p.moved) > patience/10 {
		p.moved = now
		_ = p.control.SetReadDeadline(now.Add(patience))
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
