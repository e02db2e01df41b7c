package store

// maxAnswers bounds what one reader remembers.
const maxAnswers = 1024

// memo remembers what a reader was answered for as long as nothing has been
// committed since, by this process or by another: what it answers is what the
// database would. Pulls ask the same few questions all the time.
type memo struct {
	version int64 // of the database, as this connection counts
	answers map[question]any
}

// question is a query that is asked often, with its parameters.
type question struct {
	query   string
	names   [2]string
	numbers [6]int64
}

// refresh forgets everything when the database has another version. An engine
// that tells none is remembered for one transaction only.
func (m *memo) refresh(version int64) {
	if version == 0 || m.answers == nil || m.version != version || len(m.answers) >= maxAnswers {
		m.version, m.answers = version, map[question]any{}
	}
}

// recall answers q from memory, or by read. What it returns must not be changed.
func recall[T any](tx *Tx, q question, read func() (T, error)) (T, error) {
	return recallSmall(tx, q, read, func(T) bool { return true })
}

// recallSmall is recall of answers that are remembered only where they are small.
func recallSmall[T any](tx *Tx, q question, read func() (T, error), small func(T) bool) (T, error) {
	if tx.memo == nil { // it writes
		return read()
	}
	if known, ok := tx.memo.answers[q].(T); ok {
		return known, nil
	}
	v, err := read()
	if err == nil && small(v) {
		remember(tx, q, v)
	}
	return v, err
}

// remember notes the answer to a question that was not asked: what answers one
// may answer another.
func remember(tx *Tx, q question, answer any) {
	if tx.memo != nil {
		tx.memo.answers[q] = answer
	}
}
