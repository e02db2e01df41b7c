package ui

import (
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Asked says whether anything is searched for.
func (v SecuritySearchView) Asked() bool {
	return v.CVE != "" || v.Package != "" || v.Repository != "" || v.Severity != "" || v.Only != ""
}

// severitySearch finds what is of a severity in all images.
func severitySearch(s core.Severity) string {
	return "/security/search?severity=" + strings.ToLower(s.String())
}
