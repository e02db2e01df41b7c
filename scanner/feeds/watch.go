package feeds

import (
	"sync"
	"time"
)

// Progress is how far a run is.
type Progress struct {
	Feed     string `json:"feed,omitempty"`
	Part     string `json:"part,omitempty"`
	Step     string `json:"step"`           // see the Step constants
	Done     int    `json:"done"`           // parts or feeds that are ready
	Total    int    `json:"total"`          // parts or feeds; 0: not known yet
	Bytes    int64  `json:"bytes"`          // received or read, of this feed or file
	Records  int64  `json:"records"`        // of this part
	Imported int64  `json:"imported"`       // of all parts
	Failed   int    `json:"failed"`         // parts
	Size     int64  `json:"size,omitempty"` // of the file that is imported, in bytes
}

// The steps of a run.
const (
	StepLook     = "looking for what there is"
	StepDownload = "downloading"
	StepWrite    = "writing"
	StepClean    = "cleaning up"
	StepCheck    = "checking"
)

// reportEvery is how often a Progress is reported at most while it only counts.
const reportEvery = 250 * time.Millisecond

// watch keeps the progress of a run, and what went wrong on the network, of
// which claircore tells little.
type watch struct {
	report func(Progress)

	mu       sync.Mutex
	progress Progress
	reported time.Time
	failure  error // the first that is no 404
	missing  error // the last 404
}

func newWatch(report func(Progress)) *watch {
	if report == nil {
		report = func(Progress) {}
	}
	return &watch{report: report}
}

// set changes the progress and reports it at once.
func (w *watch) set(change func(*Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.progress)
	w.tell(true)
}

// count is set for what happens often.
func (w *watch) count(change func(*Progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.progress)
	w.tell(false)
}

func (w *watch) tell(now bool) {
	if now || time.Since(w.reported) > reportEvery {
		w.reported = time.Now()
		w.report(w.progress)
	}
}

func (w *watch) received(n int) { w.count(func(p *Progress) { p.Bytes += int64(n) }) }

func (w *watch) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
}

func (w *watch) absent(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing = err
}

// forget begins a new stretch of requests.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure, w.missing = nil, nil
}

// cause returns what went wrong on the network since forget, nil when nothing
// did. A 404 may be what an updater expects.
func (w *watch) cause() (failure, missing error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure, w.missing
}
