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
}

// Read implements io.Reader. At the end it lifts the deadline, which would
// otherwise cancel a request that is still being worked on. A connection that
// has no deadlines, such as one in memory, is read as it is.
func (p *patientBody) Read(buf []byte) (int, error) {
	if now := time.Now(); now.Sub(p.moved) > patience/10 {
		p.moved = now
		_ = p.control.SetReadDeadline(now.Add(patience))
	}
	n, err := p.ReadCloser.Read(buf)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
