package core

import "strings"

// Severity is how bad a vulnerability is, on Harbor's scale. The numbers are
// stored and only grow with the severity.
type Severity int

// The severities. None is the severity of an image without findings; a finding
// whose source rates nothing is Unknown.
const (
	SeverityNone Severity = iota
	SeverityUnknown
	SeverityNegligible
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityWords = []string{"None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical"}

// Severities lists all severities that a finding can have, the worst first.
func Severities() []Severity {
	return []Severity{SeverityCritical, SeverityHigh, SeverityMedium, SeverityLow, SeverityNegligible, SeverityUnknown}
}

// String returns Harbor's word for the severity, such as "High". A number that
// is none of the severities reads "Unknown".
func (s Severity) String() string {
	if s < SeverityNone || s > SeverityCritical {
		return severityWords[SeverityUnknown]
	}
	return severityWords[s]
}

// ParseSeverity reads a word of the scale in any case; CodeBadRequest for every
// other word.
func ParseSeverity(word string) (Severity, error) {
	for i, known := range severityWords {
		if strings.EqualFold(word, known) {
			return Severity(i), nil
		}
	}
	return SeverityUnknown, Errorf(CodeBadRequest, "%q is no severity; use %s", Clip(word, 32), strings.ToLower(strings.Join(severityWords, ", ")))
}
