package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const scanFactColumns = `scan_fact.digest, scan_fact.status, scan_fact.engine, scan_fact.feed, scan_fact.message, scan_fact.findings,
	scan_fact.scanned_at, scan_fact.duration`

func scanScanFact(row scanner) (core.ScanFact, error) {
	var f core.ScanFact
	var findings string
	var scanned, duration int64
	if err := row.Scan(&f.Digest, &f.Status, &f.Engine, &f.Feed, &f.Message, &findings, &scanned, &duration); err != nil {
		return f, err
	}
	f.ScannedAt, f.Duration = at(scanned), time.Duration(duration)*time.Microsecond
	var err error
	if f.Findings, err = decodeFindings(findings); err != nil {
		err = fmt.Errorf("findings of %s: %w", f.Digest, err)
	}
	return f, err
}

// encodeFindings writes one finding a line: "6fk CVE-2021-44228" is critical,
// fixable and exploited.
func encodeFindings(findings []core.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteByte('0' + byte(f.Severity))
		if f.Fixable {
			b.WriteByte('f')
		}
		if f.KEV {
			b.WriteByte('k')
		}
		b.WriteByte(' ')
		b.WriteString(f.CVE)
		b.WriteByte('\n')
	}
	return b.String()
}

func decodeFindings(text string) ([]core.Finding, error) {
	if text == "" {
		return nil, nil
	}
	findings := make([]core.Finding, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		marks, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || marks == "" || marks[0] < '0' || marks[0] > '0'+byte(core.SeverityCritical) {
			return nil, fmt.Errorf("the line %q is malformed", core.Clip(line, 64))
		}
		findings = append(findings, core.Finding{CVE: id, Severity: core.Severity(marks[0] - '0'),
			Fixable: strings.Contains(marks, "f"), KEV: strings.Contains(marks, "k")})
	}
	return findings, nil
}

// ScanFacts returns what is known of the manifests with these digests, by
// digest; those that were not scanned are missing.
func (tx *Tx) ScanFacts(digests ...string) (map[string]core.ScanFact, error) {
	s := &selection{}
	in(s, "digest", digests)
	facts := make(map[string]core.ScanFact, len(digests))
	err := tx.each(`SELECT `+scanFactColumns+` FROM scan_fact`+s.clause(), s.args, func(row scanner) error {
		f, err := scanScanFact(row)
		facts[f.Digest] = f
		return err
	})
	return facts, err
}

// SetScanFact replaces what is known of the manifest with the fact's digest.
func (tx *Tx) SetScanFact(f core.ScanFact) error {
	if err := tx.recountScan(f); err != nil {
		return err
	}
	n := core.TallyOf(f.Findings)
	_, err := tx.exec(`INSERT INTO scan_fact (digest, status, engine, feed, message, findings, critical, high, medium, low, negligible, unknown,
			fixable, kev, scanned_at, duration)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (digest) DO UPDATE SET status = excluded.status, engine = excluded.engine, feed = excluded.feed, message = excluded.message,
			findings = excluded.findings, critical = excluded.critical, high = excluded.high, medium = excluded.medium, low = excluded.low,
			negligible = excluded.negligible, unknown = excluded.unknown, fixable = excluded.fixable, kev = excluded.kev,
			scanned_at = excluded.scanned_at, duration = excluded.duration`,
		f.Digest, string(f.Status), f.Engine, f.Feed, f.Message, encodeFindings(f.Findings),
		n.Critical, n.High, n.Medium, n.Low, n.Negligible, n.Unknown, n.Fixable, n.KEV, micros(f.ScannedAt), f.Duration.Microseconds())
	return err
}

// ForgetScan removes what is known of a manifest that no repository has any
// more. It says whether it did.
func (tx *Tx) ForgetScan(digest string) (bool, error) {
	n, err := tx.exec(`DELETE FROM scan_fact WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM manifest WHERE digest = $1)`, digest)
	return n == 1, err
}
