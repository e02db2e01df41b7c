package app

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	// The priority is the facility "log audit" (13) times 8 plus the severity:
	// informational (6), or warning (4) for what was refused.
	priorityDone    = 13*8 + 6
	priorityRefused = 13*8 + 4

	// structuredID names the fields of a row. 32473 is the enterprise number
	// that RFC 5612 sets aside for examples: the project has none of its own.
	structuredID = "audit@32473"

	// maxSyslogValue bounds each field, in bytes, so that a message always
	// fits into a datagram.
	maxSyslogValue = 1024
)

// syslogMessage writes a row as RFC 5424 wants it, with all fields as
// structured data and a short sentence after them. hostname may be empty.
func syslogMessage(hostname string, e core.AuditEvent) string {
	priority := priorityRefused
	if e.Success {
		priority = priorityDone
	}
	var b strings.Builder
	b.WriteString("<" + strconv.Itoa(priority) + ">1 " + e.Time.UTC().Format("2006-01-02T15:04:05.000000Z") + " ")
	b.WriteString(syslogName(hostname) + " breakwater - AUDIT [" + structuredID)
	for _, field := range syslogFields(e) {
		b.WriteString(" " + field[0] + `="` + structuredValue.Replace(oneLine(field[1])) + `"`)
	}
	b.WriteString("] " + oneLine(e.Username+" "+e.Operation+" "+e.ResourceType+" "+e.Resource))
	if e.Description != "" {
		b.WriteString(" (" + oneLine(e.Description) + ")")
	}
	return b.String()
}

func syslogFields(e core.AuditEvent) [][2]string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return [][2]string{
		{"id", number(e.ID)}, {"actor", e.Actor}, {"username", e.Username}, {"operation", e.Operation},
		{"resourceType", e.ResourceType}, {"resource", e.Resource}, {"projectId", number(e.ProjectID)}, {"digest", e.Digest},
		{"address", e.Origin.Address}, {"client", e.Origin.Client}, {"requestId", e.Origin.RequestID},
		{"success", strconv.FormatBool(e.Success)}, {"repeats", number(e.Repeats)}, {"hash", e.Hash},
	}
}

// structuredValue escapes the three characters that RFC 5424 6.3.3 names.
var structuredValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// oneLine keeps a value from breaking into a second line or steering a
// terminal, and bounds it.
func oneLine(s string) string {
	if len(s) > maxSyslogValue {
		s = s[:maxSyslogValue]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// syslogName makes a HOSTNAME: printable ASCII without spaces, or "-".
func syslogName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), 255)]
}
