package core

// Cursor is where a page of a list begins whose order is that of one column
// with unique values: after the row with such a value, or before it. With
// neither it is the first page. A page costs the same wherever it is.
type Cursor struct {
	After, Before string
	Limit         int // rows of the page
}

// Beside says whether there are rows before and after a page.
type Beside struct{ Before, After bool }
