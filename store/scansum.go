package store

import (
	"strconv"
	"strings"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The sums of scans are kept with what they sum: a list of projects, each with
// thousands of images, reads one row for each.

var scanSumColumns = []string{"scanned", "failed", "critical", "high", "medium", "low", "negligible", "unknown", "fixable", "kev"}

// scanSumValues are what the columns hold, to be scanned into.
func scanSumValues(s *core.ScanSum) []any {
	return []any{&s.Scanned, &s.Failed, &s.Critical, &s.High, &s.Medium, &s.Low, &s.Negligible, &s.Unknown, &s.Fixable, &s.KEV}
}

// scanSumOf is what one image adds to the sums.
func scanSumOf(f core.ScanFact) core.ScanSum {
	sum := core.ScanSum{Tally: core.TallyOf(f.Findings)}
	switch f.Status {
	case core.ScanSuccess:
		sum.Scanned = 1
	case core.ScanError:
		sum.Failed = 1
	}
	return sum
}

// keptScanSum is what the image adds to the sums now; nothing where it was not
// scanned.
func (tx *Tx) keptScanSum(digest string) (sum core.ScanSum, err error) {
	err = tx.get(`SELECT CASE WHEN status = 'Success' THEN 1 ELSE 0 END, CASE WHEN status = 'Error' THEN 1 ELSE 0 END,
		critical, high, medium, low, negligible, unknown, fixable, kev FROM scan_fact WHERE digest = $1`, []any{digest}, scanSumValues(&sum)...)
	if err == ErrNoRow {
		err = nil
	}
	return sum, err
}

// addToScanSums adds sum, times factor, to the sums of the repositories of the
// manifests m that the condition selects by $1, and to those of their projects.
func (tx *Tx) addToScanSums(condition string, key any, sum core.ScanSum, factor int64) error {
	if sum == (core.ScanSum{}) {
		return nil
	}
	args, each, all, sets := []any{key}, "", "", make([]string, len(scanSumColumns))
	for i, value := range scanSumValues(&sum) {
		args = append(args, *value.(*int64)*factor)
		mark := "CAST($" + strconv.Itoa(i+2) + " AS BIGINT)"
		each += ", " + mark
		all += ", COUNT(*) * " + mark
		sets[i] = scanSumColumns[i] + " = scan_sum." + scanSumColumns[i] + " + excluded." + scanSumColumns[i]
	}
	from := ` FROM manifest m JOIN repository r ON r.id = m.repository_id WHERE m.config <> '' AND ` + condition // an index is not scanned itself
	_, err := tx.exec(`INSERT INTO scan_sum (project_id, repository_id, `+strings.Join(scanSumColumns, ", ")+`)
		SELECT r.project_id, r.id`+each+from+` UNION ALL SELECT r.project_id, 0`+all+from+` GROUP BY r.project_id
		ON CONFLICT (project_id, repository_id) DO UPDATE SET `+strings.Join(sets, ", "), args...)
	return err
}

// countScan adds the last scan of the manifest to the sums of its repository,
// or with -1 takes it away.
func (tx *Tx) countScan(manifestID int64, digest string, factor int64) error {
	sum, err := tx.keptScanSum(digest)
	if err != nil {
		return err
	}
	return tx.addToScanSums("m.id = $1", manifestID, sum, factor)
}

// recountScan replaces what the image adds to the sums of all its repositories.
func (tx *Tx) recountScan(f core.ScanFact) error {
	before, err := tx.keptScanSum(f.Digest)
	if err != nil {
		return err
	}
	after := scanSumOf(f)
	was, is := scanSumValues(&before), scanSumValues(&after)
	for i := range is {
		*is[i].(*int64) -= *was[i].(*int64)
	}
	return tx.addToScanSums("m.digest = $1", f.Digest, after, 1)
}

// ScanSums returns what the scans of the repositories of a project found, by
// the id of the repository; those without any are missing.
func (tx *Tx) ScanSums(projectID int64, repositoryIDs []int64) (map[int64]core.ScanSum, error) {
	s := &selection{}
	s.where("project_id = ?", projectID)
	in(s, "repository_id", repositoryIDs)
	return tx.scanSums("repository_id", s)
}

// ProjectScanSums is ScanSums for whole projects, by their ids.
func (tx *Tx) ProjectScanSums(projectIDs []int64) (map[int64]core.ScanSum, error) {
	s := &selection{}
	s.where("repository_id = 0")
	in(s, "project_id", projectIDs)
	return tx.scanSums("project_id", s)
}

func (tx *Tx) scanSums(key string, s *selection) (map[int64]core.ScanSum, error) {
	sums := map[int64]core.ScanSum{}
	err := tx.each(`SELECT `+key+`, `+strings.Join(scanSumColumns, ", ")+` FROM scan_sum`+s.clause(), s.args, func(row scanner) error {
		var id int64
		var sum core.ScanSum
		err := row.Scan(append([]any{&id}, scanSumValues(&sum)...)...)
		sums[id] = sum
		return err
	})
	return sums, err
}
