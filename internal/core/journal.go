package core

import "time"

// JournalOp names what a journal entry records.
type JournalOp string

// What the journal records: every put and delete of a repository, a manifest
// or a tag. Replaying them in order over the blob files gives the same images.
const (
	JournalPutRepository    JournalOp = "repository.put"
	JournalDeleteRepository JournalOp = "repository.delete"
	JournalPutManifest      JournalOp = "manifest.put"
	JournalDeleteManifest   JournalOp = "manifest.delete"
	JournalPutTag           JournalOp = "tag.put"
	JournalDeleteTag        JournalOp = "tag.delete"
	// JournalAbort voids the entries of one batch whose database commit
	// failed after they had been written: sequence numbers From to To.
	JournalAbort JournalOp = "abort"
)

// JournalEntry is one line of the journal. Seq and Time are set by the journal
// when it writes the line.
type JournalEntry struct {
	Seq        uint64    `json:"seq"`
	Time       time.Time `json:"time"`
	Op         JournalOp `json:"op"`
	Repository string    `json:"repository,omitempty"` // full name, "project/path"
	Digest     string    `json:"digest,omitempty"`     // of the manifest
	MediaType  string    `json:"media_type,omitempty"`
	Tag        string    `json:"tag,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	From       uint64    `json:"from,omitempty"`
	To         uint64    `json:"to,omitempty"`
}
