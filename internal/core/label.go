package core

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Label is a word that artifacts are marked with.
type Label struct {
	ID          int64
	ProjectID   int64 // 0: of all projects
	Name        string
	Description string
	Color       string // #RRGGBB, or empty
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Scope is Harbor's word for whose the label is: g for all projects, p for one.
func (l Label) Scope() string {
	if l.ProjectID == 0 {
		return "g"
	}
	return "p"
}

// SameText says whether both labels read and look the same.
func (l Label) SameText(other Label) bool {
	return l.Name == other.Name && l.Description == other.Description && strings.EqualFold(l.Color, other.Color)
}

const (
	maxLabelName        = 128
	maxLabelDescription = 255
)

// Validate checks the name, the description and the colour.
func (l Label) Validate() error {
	switch {
	case l.Name == "" || utf8.RuneCountInString(l.Name) > maxLabelName || !printable(l.Name) || strings.TrimSpace(l.Name) != l.Name:
		return Errorf(CodeBadRequest, "the name of a label must be plain text of 1 to %d characters without spaces at its ends", maxLabelName)
	case utf8.RuneCountInString(l.Description) > maxLabelDescription || !printable(l.Description):
		return Errorf(CodeBadRequest, "the description of a label must be plain text of at most %d characters", maxLabelDescription)
	case l.Color != "" && !isColor(l.Color):
		return Errorf(CodeBadRequest, "the color of a label must be written as #RRGGBB, such as #0A6786")
	}
	return nil
}

func isColor(text string) bool {
	if len(text) != 7 || text[0] != '#' {
		return false
	}
	return strings.Trim(text[1:], "0123456789abcdefABCDEF") == ""
}
