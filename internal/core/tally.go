package core

// Tally is how many findings have which severity.
type Tally struct {
	Critical, High, Medium, Low, Negligible, Unknown int64

	Fixable int64 // of all of them
	KEV     int64 // of all of them
}

// TallyOf counts the findings.
func TallyOf(findings []Finding) (t Tally) {
	for _, f := range findings {
		t.Count(f.Severity, f.Fixable, f.KEV)
	}
	return t
}

// Count adds one finding.
func (t *Tally) Count(s Severity, fixable, kev bool) {
	*t.at(s)++
	if fixable {
		t.Fixable++
	}
	if kev {
		t.KEV++
	}
}

// at is the number of one severity; what is none of them counts as Unknown.
func (t *Tally) at(s Severity) *int64 {
	switch s {
	case SeverityCritical:
		return &t.Critical
	case SeverityHigh:
		return &t.High
	case SeverityMedium:
		return &t.Medium
	case SeverityLow:
		return &t.Low
	case SeverityNegligible:
		return &t.Negligible
	}
	return &t.Unknown
}

// Of returns how many findings have the severity.
func (t Tally) Of(s Severity) int64 { return *t.at(s) }

// Total is the number of findings.
func (t Tally) Total() int64 {
	return t.Critical + t.High + t.Medium + t.Low + t.Negligible + t.Unknown
}

// Worst is the worst severity that is there, SeverityNone without findings.
func (t Tally) Worst() Severity {
	for _, s := range Severities() {
		if t.Of(s) > 0 {
			return s
		}
	}
	return SeverityNone
}

// ScanSum is what the last scans of many images found in sum: a finding counts
// in each image that has it.
type ScanSum struct {
	Tally
	Scanned int64 // images
	Failed  int64 // images whose scan failed
}
