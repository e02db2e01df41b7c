package core

import "time"

// ResGarbageCollection is the garbage collection, in Harbor's words.
const ResGarbageCollection Resource = "garbage-collection"

// ResJobs is all background work, in Harbor's words.
const ResJobs Resource = "jobservice-monitor"

// JobStatus is where a job stands, in Harbor's words.
type JobStatus string

// A job is Pending until a worker takes it and again after an interruption.
// The last three are its ends.
const (
	JobPending JobStatus = "Pending"
	JobRunning JobStatus = "Running"
	JobSuccess JobStatus = "Success"
	JobError   JobStatus = "Error"
	JobStopped JobStatus = "Stopped"
)

// Ended says whether the job will not change any more.
func (s JobStatus) Ended() bool { return s == JobSuccess || s == JobError || s == JobStopped }

// JobTrigger says what queued a job.
type JobTrigger string

// The triggers: an account or the command line, a schedule, or a change such
// as a push.
const (
	JobTriggerManual   JobTrigger = "manual"
	JobTriggerSchedule JobTrigger = "schedule"
	JobTriggerEvent    JobTrigger = "event"
)

// Job is one piece of background work. What its parameters and its progress
// hold, both JSON objects, is defined by its kind.
type Job struct {
	ID         int64
	Kind       string
	Target     int64 // what it is about, such as a project's id; 0: the registry
	Parameters string
	Status     JobStatus
	Trigger    JobTrigger
	CreatedBy  string // username
	Attempts   int64  // starts that did not come to an end, and the present one
	Stopping   bool   // somebody asked to stop it
	Progress   string
	Message    string // why it failed
	CreatedAt  time.Time
	StartedAt  time.Time // zero: not yet
	EndedAt    time.Time // zero: not yet
	UpdatedAt  time.Time // also a sign of life while it runs
}

// ScheduleType is how a schedule was chosen, in Harbor's words.
type ScheduleType string

// The types of a schedule. None is no schedule; the first three are names for
// a cron expression, which Custom gives itself.
const (
	ScheduleHourly ScheduleType = "Hourly"
	ScheduleDaily  ScheduleType = "Daily"
	ScheduleWeekly ScheduleType = "Weekly"
	ScheduleCustom ScheduleType = "Custom"
	ScheduleNone   ScheduleType = "None"
)

// Schedule queues a job of its kind and target again and again.
type Schedule struct {
	ID         int64
	Kind       string
	Target     int64
	Type       ScheduleType
	Cron       string // six fields, seconds first, UTC
	Parameters string // JSON object, of the jobs
	NextAt     time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}
