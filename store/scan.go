package store

import (
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// ImageSelection says which images to scan: all, those of a project, or those
// of one repository.
type ImageSelection struct {
	ProjectID    int64 // 0: of all projects
	RepositoryID int64 // 0: of all repositories
}

func (i ImageSelection) add(s *selection) {
	s.where("m.kind = ?", core.KindImage)
	s.where("m.config <> ''") // an index is not scanned itself
	if i.ProjectID != 0 {
		s.where("m.repository_id IN (SELECT id FROM repository WHERE project_id = ?)", i.ProjectID)
	}
	if i.RepositoryID != 0 {
		s.where("m.repository_id = ?", i.RepositoryID)
	}
}

// ImagesToScan lists the digests of at most n of the images after the given
// one, in order; one that is in several repositories comes once.
func (tx *Tx) ImagesToScan(i ImageSelection, after string, n int) ([]string, error) {
	s := &selection{}
	i.add(s)
	s.where("m.digest > ?", after)
	limit := s.value(n)
	return list(tx, `SELECT DISTINCT m.digest FROM manifest m`+s.clause()+` ORDER BY m.digest LIMIT `+limit, s.args, scanText)
}

// CountImages counts the images, each digest once.
func (tx *Tx) CountImages(i ImageSelection) (n int64, err error) {
	s := &selection{}
	i.add(s)
	err = tx.get(`SELECT COUNT(DISTINCT m.digest) FROM manifest m`+s.clause(), s.args, &n)
	return n, err
}

// ArtifactsByDigest returns the manifest in at most n of the repositories that
// have it.
func (tx *Tx) ArtifactsByDigest(digest string, n int) ([]core.Artifact, error) {
	return list(tx, `SELECT `+artifactColumns+` FROM `+artifactSource+` WHERE manifest.digest = $1 ORDER BY manifest.id LIMIT $2`,
		[]any{digest, n}, scanArtifact)
}

// Unused returns those of the digests that no repository has a manifest of.
func (tx *Tx) Unused(digests []string) ([]string, error) {
	s := &selection{}
	in(s, "digest", digests)
	used := map[string]bool{}
	err := tx.each(`SELECT DISTINCT digest FROM manifest`+s.clause(), s.args, func(row scanner) error {
		digest, err := scanText(row)
		used[digest] = true
		return err
	})
	var unused []string
	for _, digest := range digests {
		if !used[digest] {
			unused = append(unused, digest)
		}
	}
	return unused, err
}

// OpenJobs returns the jobs of the kinds that wait or run and have one of the
// parameters, by these.
func (tx *Tx) OpenJobs(kinds, parameters []string) (map[string]core.Job, error) {
	s := &selection{}
	in(s, "job.status", []string{string(core.JobPending), string(core.JobRunning)})
	in(s, "job.kind", kinds)
	in(s, "job.parameters", parameters)
	jobs, err := list(tx, `SELECT `+jobColumns+` FROM job`+s.clause()+` ORDER BY job.status, job.id`, s.args, scanJob)
	open := make(map[string]core.Job, len(jobs))
	for _, job := range jobs { // the one that runs comes last
		open[job.Parameters] = job
	}
	return open, err
}

// StoppedJobs tells when the last of the jobs of the kinds that were stopped
// ended, by those of the parameters that had one.
func (tx *Tx) StoppedJobs(kinds, parameters []string) (map[string]time.Time, error) {
	s := &selection{}
	s.where("job.status = ?", string(core.JobStopped))
	in(s, "job.kind", kinds)
	in(s, "job.parameters", parameters)
	ends := map[string]time.Time{}
	err := tx.each(`SELECT job.parameters, MAX(job.ended_at) FROM job`+s.clause()+` GROUP BY job.parameters`, s.args, func(row scanner) error {
		var parameters string
		var ended int64
		err := row.Scan(&parameters, &ended)
		ends[parameters] = at(ended)
		return err
	})
	return ends, err
}

// OpenJobsAbout lists the jobs of the kind about the target that wait or run.
func (tx *Tx) OpenJobsAbout(kind string, target int64) ([]core.Job, error) {
	return list(tx, `SELECT `+jobColumns+` FROM job WHERE job.status IN ($1, $2) AND job.kind = $3 AND job.target = $4 ORDER BY job.id`,
		[]any{string(core.JobPending), string(core.JobRunning), kind, target}, scanJob)
}
