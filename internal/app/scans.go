package app

import (
	"context"
	"encoding/json"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// The kinds of jobs that scan. One of each runs at a time, so that a pull that
// waits for its scan does not wait for all others.
const (
	JobScan        = "IMAGE_SCAN"   // one image that was pushed, or that somebody asked for
	JobScanPull    = "SCAN_ON_PULL" // one image that somebody waits for
	JobScanProject = "PROJECT_SCAN" // the images of a project or a repository; the target is the project
	JobScanAll     = "SCAN_ALL"     // every image, Harbor's name
	JobRematch     = "SCAN_REMATCH" // what was scanned before, with new data
)

// ScanKinds lists the kinds of jobs that RunScan does.
func ScanKinds() []string {
	return []string{JobScan, JobScanPull, JobScanProject, JobScanAll, JobRematch}
}

// scanJobs are the kinds of jobs that scan one image, with the same parameters.
var scanJobs = []string{JobScan, JobScanPull}

// imageToScan is the parameters of a job that scans one image, or the images in
// an index.
type imageToScan struct {
	Digest string `json:"digest"`
}

func (i imageToScan) parameters() string {
	text, _ := json.Marshal(i) // a text always becomes JSON
	return string(text)
}

// imagesToScan is the parameters of a job that scans a repository, where it
// names one, or a project.
type imagesToScan struct {
	Repository string `json:"repository,omitempty"`
}

// queueScan has the image scanned.
func (s *session) queueScan(kind, digest string, trigger core.JobTrigger) error {
	_, err := s.queue(newJob{kind: kind, trigger: trigger, parameters: imageToScan{digest}})
	return err
}

// scanPushed has an image scanned that was pushed to a project which wants that.
// One that was scanned before is up to date: new data has it matched again.
func (p *publication) scanPushed() error {
	rules, err := p.app.policyOf(p.project)
	if err != nil || !rules.ScanOnPush || !p.scannable() {
		return err
	}
	facts, err := p.ScanFacts(p.artifact.Digest)
	if err != nil || facts[p.artifact.Digest].Status == core.ScanSuccess {
		return err
	}
	return p.queueScan(JobScan, p.artifact.Digest, core.JobTriggerEvent)
}

// scannable says whether the scanner can read what was pushed: an index is read
// image by image.
func (p *publication) scannable() bool {
	return p.app.scanner != nil && p.artifact.Kind == core.KindImage && p.artifact.Config != ""
}

// ScanArtifact has an artifact, or the images in an index, scanned soon.
// CodeBadRequest for what cannot be scanned.
func (a *App) ScanArtifact(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, found, err := s.scannable(full, reference, core.ResScan, core.ActCreate)
		if err != nil {
			return err
		}
		if err := s.queueScan(JobScan, found.Digest, core.JobTriggerManual); err != nil {
			return err
		}
		return s.audit(act{operation: "create", resourceType: "scan", resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
}

// scannable returns an artifact that the scanner may be put to by the caller.
func (s *session) scannable(full, reference string, resource core.Resource, action core.Action) (core.Project, core.Artifact, error) {
	project, _, err := s.repository(full, resource, action)
	if err != nil {
		return project, core.Artifact{}, err
	}
	if _, err := s.app.scanning(); err != nil {
		return project, core.Artifact{}, err
	}
	found, err := s.find(full, reference)
	if err == nil && found.Kind != core.KindImage {
		err = core.Errorf(core.CodeBadRequest, "%s is of the type %s; only images can be scanned", core.Clip(reference, 160), found.Kind)
	}
	return project, found, err
}

// StopScan stops the scan of an artifact that waits or runs. CodeBadRequest when
// there is none.
func (a *App) StopScan(ctx context.Context, c core.Caller, full, reference string) error {
	return a.update(ctx, c, func(s *session) error {
		project, found, err := s.scannable(full, reference, core.ResScan, core.ActStop)
		if err != nil {
			return err
		}
		stopped, err := s.stopOpen(scanJobs, imageToScan{found.Digest}.parameters())
		if err != nil {
			return err
		}
		if !stopped {
			return core.Errorf(core.CodeBadRequest, "no scan of %s waits or runs", core.Clip(reference, 160))
		}
		return s.audit(act{operation: "stop", resourceType: "scan", resource: full + "@" + found.Digest, project: project.ID, digest: found.Digest})
	})
}

// stopOpen stops the jobs of the kinds that wait or run and have the parameters;
// it says whether there were any.
func (s *session) stopOpen(kinds []string, parameters string) (stopped bool, err error) {
	for _, kind := range kinds {
		open, err := s.OpenJobs([]string{kind}, []string{parameters})
		if err != nil {
			return false, err
		}
		if job, ok := open[parameters]; ok {
			stopped = true
			if _, err := s.stopJob(kind, job.ID); err != nil {
				return false, err
			}
		}
	}
	return stopped, nil
}

// ScanRepository has every image of a repository scanned; it returns the id of
// the job.
func (a *App) ScanRepository(ctx context.Context, c core.Caller, full string) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, _, err := s.repository(full, core.ResScan, core.ActCreate)
		if err != nil {
			return err
		}
		id, err = s.scanMany(project, full, imagesToScan{Repository: full})
		return err
	})
	return id, err
}

// ScanProject has every image of a project scanned; it returns the id of the job.
func (a *App) ScanProject(ctx context.Context, c core.Caller, ref core.ProjectRef) (id int64, err error) {
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.onProject(ref, core.ResScan, core.ActCreate)
		if err != nil {
			return err
		}
		id, err = s.scanMany(project, project.Name, imagesToScan{})
		return err
	})
	return id, err
}

func (s *session) scanMany(project core.Project, what string, images imagesToScan) (id int64, err error) {
	if _, err := s.app.scanning(); err != nil {
		return 0, err
	}
	id, err = s.queue(newJob{kind: JobScanProject, target: project.ID, trigger: core.JobTriggerManual, parameters: images})
	if err != nil {
		return 0, err
	}
	return id, s.audit(act{operation: "create", resourceType: "scan", resource: what, project: project.ID})
}

// ScanState is where an artifact stands.
type ScanState struct {
	Fact core.ScanFact  // of the last scan; without a status there was none
	Open core.JobStatus // Pending or Running while a scan waits or runs, else empty
	// Stopped says that somebody stopped a scan after the last one.
	Stopped bool
}

// scanFacts returns what is known of each of the images and indexes, by digest.
// An index without a scan of its own is as bad as what is in it.
func (s *session) scanFacts(artifacts []core.Artifact, children map[int64][]core.Child) (map[string]core.ScanFact, error) {
	var digests []string
	for _, a := range artifacts {
		digests = append(digests, a.Digest)
		for _, child := range children[a.ID] {
			digests = append(digests, child.Digest)
		}
	}
	known, err := s.ScanFacts(digests...)
	if err != nil {
		return nil, err
	}
	facts := make(map[string]core.ScanFact, len(artifacts))
	for _, a := range artifacts {
		fact, ok := known[a.Digest]
		if !ok {
			fact = together(a.Digest, children[a.ID], known)
		}
		facts[a.Digest] = fact
	}
	return facts, nil
}

// scanStates returns where each of the artifacts stands, by digest; what is no
// image or index stands nowhere.
func (s *session) scanStates(artifacts []core.Artifact, children map[int64][]core.Child) (map[string]ScanState, error) {
	var images []core.Artifact
	var wanted []string
	for _, a := range artifacts {
		if a.Kind == core.KindImage {
			images, wanted = append(images, a), append(wanted, imageToScan{a.Digest}.parameters())
		}
	}
	if len(images) == 0 {
		return nil, nil
	}
	facts, err := s.scanFacts(images, children)
	if err != nil {
		return nil, err
	}
	open, err := s.OpenJobs(scanJobs, wanted)
	if err != nil {
		return nil, err
	}
	stopped, err := s.StoppedJobs(scanJobs, wanted)
	states := make(map[string]ScanState, len(images))
	for i, a := range images {
		fact := facts[a.Digest]
		states[a.Digest] = ScanState{Fact: fact, Open: open[wanted[i]].Status, Stopped: stopped[wanted[i]].After(fact.ScannedAt)}
	}
	return states, err
}

// scanState is scanStates of one artifact.
func (s *session) scanState(a core.Artifact) (ScanState, error) {
	children, err := s.ChildrenOf([]int64{a.ID})
	if err != nil {
		return ScanState{}, err
	}
	states, err := s.scanStates([]core.Artifact{a}, children)
	return states[a.Digest], err
}

// childScans is scanStates of the entries of an index.
func (s *session) childScans(children []core.Child) (map[string]ScanState, error) {
	images := make([]core.Artifact, 0, len(children))
	for _, child := range children {
		if !runsNowhere(child.Platform) {
			images = append(images, core.Artifact{Digest: child.Digest, Kind: core.KindImage})
		}
	}
	return s.scanStates(images, nil)
}

// runsNowhere says whether the platform is that of an attestation in an index.
func runsNowhere(p *core.Platform) bool {
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// together is the fact of an index: every finding of its parts once, and a
// success when all parts had one.
func together(digest string, parts []core.Child, facts map[string]core.ScanFact) core.ScanFact {
	sum := core.ScanFact{Digest: digest}
	seen := map[core.Finding]bool{}
	for _, part := range parts {
		fact, known := facts[part.Digest]
		if !known || runsNowhere(part.Platform) {
			continue
		}
		if sum.Status == "" || sum.Status == core.ScanSuccess {
			sum.Status, sum.Message = fact.Status, fact.Message
		}
		sum.Engine, sum.Feed = fact.Engine, fact.Feed
		if fact.ScannedAt.After(sum.ScannedAt) {
			sum.ScannedAt = fact.ScannedAt
		}
		sum.Duration += fact.Duration
		for _, finding := range fact.Findings {
			if !seen[finding] {
				seen[finding] = true
				sum.Findings = append(sum.Findings, finding)
			}
		}
	}
	core.SortFindings(sum.Findings)
	return sum
}

// ScanLog tells how the last scan of an artifact went.
func (a *App) ScanLog(ctx context.Context, c core.Caller, full, reference string) (state ScanState, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if _, _, err := s.repository(full, core.ResScan, core.ActRead); err != nil {
			return err
		}
		found, err := s.find(full, reference)
		if err != nil {
			return err
		}
		if state, err = s.scanState(found); err != nil {
			return err
		}
		if state.Fact.Status == "" && state.Open == "" {
			return core.Errorf(core.CodeNotFound, "%s was not scanned yet", core.Clip(reference, 160))
		}
		return nil
	})
	return state, err
}
