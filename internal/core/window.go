package core

// Window asks for one page of a list that is read by position, at the same cost
// however far the page is from the start. Such a list has no page numbers.
type Window struct {
	Cursor string // as Ends gave it; empty for the first page
	Size   int
}

// A cursor is the key of a row behind one of these, which say to which side of
// the row the page lies.
const (
	CursorAfter  = "a."
	CursorBefore = "b."
)

// Ends are the cursors of the pages beside a page; "" where there is none.
type Ends struct{ Previous, Next string }

// ArtifactFilter selects artifacts of a repository.
type ArtifactFilter struct {
	Text   string // part of one of its tags, or the beginning of its digest
	Tagged *bool  // with or without a tag; nil for both
	Label  int64  // id of a label that it has; 0 for any
}

// RepositoryFilter selects and orders repositories of a project.
type RepositoryFilter struct {
	Text   string // part of the name
	Recent bool   // those that changed last first, instead of by name
}
