package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

func queueJob(t *testing.T, s *store.Store, kind, parameters string) (id int64) {
	t.Helper()
	update(t, s, func(tx *store.Tx) (err error) {
		id, err = tx.QueueJob(core.Job{Kind: kind, Parameters: parameters, Trigger: core.JobTriggerManual, CreatedBy: "admin"})
		return err
	})
	return id
}

func startJob(t *testing.T, s *store.Store, kind string) (job core.Job, err error) {
	t.Helper()
	err = s.Update(t.Context(), func(tx *store.Tx) (err error) {
		job, err = tx.StartJob(kind)
		return err
	})
	return job, err
}

func readJob(t *testing.T, s *store.Store, kind string, id int64) (job core.Job) {
	t.Helper()
	view(t, s, func(tx *store.Tx) (err error) {
		job, err = tx.Job(kind, id)
		return err
	})
	return job
}

func TestJobsOfAKindRunOneAfterTheOther(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		first, second := queueJob(t, s, "gc", `{"a":1}`), queueJob(t, s, "gc", `{"a":2}`)
		if again := queueJob(t, s, "gc", `{"a":2}`); again != second {
			t.Errorf("a job that waits already was queued again as %d", again)
		}
		job, err := startJob(t, s, "gc")
		if err != nil || job.ID != first || job.Status != core.JobRunning || job.Attempts != 1 || job.StartedAt.IsZero() || job.CreatedBy != "admin" {
			t.Fatalf("StartJob = %+v, %v; want job %d", job, err, first)
		}
		if job, err := startJob(t, s, "gc"); !errors.Is(err, store.ErrNoRow) {
			t.Errorf("a second job of the kind was started: %+v, %v", job, err)
		}
		queueJob(t, s, "scan", "{}")
		if _, err := startJob(t, s, "scan"); err != nil {
			t.Errorf("a job of another kind was not started: %v", err)
		}
		update(t, s, func(tx *store.Tx) error {
			if err := tx.ReportJob(first, `{"n":7}`, "one\n"); err != nil {
				return err
			}
			if err := tx.ReportJob(first, `{"n":8}`, "two\n"); err != nil {
				return err
			}
			return tx.EndJob(first, core.JobError, "no luck")
		})
		if job := readJob(t, s, "gc", first); job.Status != core.JobError || job.Progress != `{"n":8}` || job.Message != "no luck" || job.EndedAt.IsZero() {
			t.Errorf("the ended job is %+v", job)
		}
		view(t, s, func(tx *store.Tx) error {
			if log, err := tx.JobLog("gc", first); err != nil || log != "one\ntwo\n" {
				t.Errorf("the log is %q, %v", log, err)
			}
			if _, err := tx.Job("scan", first); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the job of another kind was read: %v", err)
			}
			jobs, total, err := tx.Jobs("gc", 0, core.Query{Page: 1, PageSize: 10, Filters: []core.Filter{{Field: "status", Values: []string{"Error"}}}})
			if err != nil || total != 1 || jobs[0].ID != first {
				t.Errorf("Jobs = %+v, %d, %v", jobs, total, err)
			}
			return nil
		})
		if job, err := startJob(t, s, "gc"); err != nil || job.ID != second {
			t.Errorf("after the first ended, StartJob = %+v, %v", job, err)
		}
	})
}

func TestInterruptedJobsWaitAgain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		id := queueJob(t, s, "gc", "{}")
		for range 2 { // in good order: does not count
			if _, err := startJob(t, s, "gc"); err != nil {
				t.Fatal(err)
			}
			update(t, s, func(tx *store.Tx) error { return tx.RequeueJob(id) })
		}
		if job, err := startJob(t, s, "gc"); err != nil || job.Attempts != 1 {
			t.Fatalf("StartJob = %+v, %v", job, err)
		}
		update(t, s, func(tx *store.Tx) error {
			running, err := tx.RunningJobs()
			if err != nil || len(running) != 1 || running[0].ID != id {
				t.Fatalf("RunningJobs = %+v, %v", running, err)
			}
			return tx.ResumeJob(id)
		})
		if job, err := startJob(t, s, "gc"); err != nil || job.Attempts != 2 {
			t.Errorf("after a crash StartJob = %+v, %v", job, err)
		}
	})
}

func TestStopJob(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		running := queueJob(t, s, "gc", `{"a":1}`)
		if _, err := startJob(t, s, "gc"); err != nil {
			t.Fatal(err)
		}
		waiting := queueJob(t, s, "gc", `{"a":2}`)
		for _, id := range []int64{running, waiting} {
			update(t, s, func(tx *store.Tx) error {
				if did, err := tx.StopJob(id); !did || err != nil {
					t.Errorf("StopJob(%d) = %t, %v", id, did, err)
				}
				return nil
			})
		}
		if job := readJob(t, s, "gc", waiting); job.Status != core.JobStopped || job.EndedAt.IsZero() {
			t.Errorf("the waiting job is %+v", job)
		}
		view(t, s, func(tx *store.Tx) error {
			if ids, err := tx.StoppingJobs(); err != nil || len(ids) != 1 || ids[0] != running {
				t.Errorf("StoppingJobs = %v, %v", ids, err)
			}
			if kinds, err := tx.PendingKinds(); err != nil || len(kinds) != 0 {
				t.Errorf("PendingKinds = %v, %v", kinds, err)
			}
			return nil
		})
		update(t, s, func(tx *store.Tx) error {
			if err := tx.EndJob(running, core.JobStopped, ""); err != nil {
				return err
			}
			if did, err := tx.StopJob(running); did || err != nil {
				t.Errorf("an ended job was stopped: %t, %v", did, err)
			}
			return nil
		})
	})
}

func TestHistoryOfJobsIsTrimmed(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		other := queueJob(t, s, "scan", "{}")
		var last int64
		for range 5 {
			last = queueJob(t, s, "gc", "{}")
			if _, err := startJob(t, s, "gc"); err != nil {
				t.Fatal(err)
			}
			update(t, s, func(tx *store.Tx) error {
				if err := tx.EndJob(last, core.JobSuccess, ""); err != nil {
					return err
				}
				return tx.TrimJobs("gc", 0, 3)
			})
		}
		view(t, s, func(tx *store.Tx) error {
			jobs, total, err := tx.Jobs("gc", 0, core.Query{Page: 1, PageSize: 10})
			if err != nil || total != 3 || jobs[0].ID != last {
				t.Errorf("Jobs = %+v, %d, %v; want the newest three", jobs, total, err)
			}
			_, err = tx.Job("scan", other)
			return err
		})
	})
}

func TestSchedules(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		next := time.Now().Add(-time.Second).Truncate(time.Microsecond).UTC()
		wanted := core.Schedule{Kind: "gc", Type: core.ScheduleCustom, Cron: "0 0 1 * * *", Parameters: `{"dry_run":true}`, NextAt: next}
		update(t, s, func(tx *store.Tx) error {
			if _, err := tx.SetSchedule(core.Schedule{Kind: "gc", Type: core.ScheduleDaily, Cron: "0 0 0 * * *", Parameters: "{}", NextAt: next.Add(time.Hour)}); err != nil {
				return err
			}
			id, err := tx.SetSchedule(wanted)
			wanted.ID = id
			return err
		})
		update(t, s, func(tx *store.Tx) error {
			got, err := tx.Schedule("gc", 0)
			wanted.CreatedAt, wanted.UpdatedAt = got.CreatedAt, got.UpdatedAt
			if err != nil || got != wanted {
				t.Errorf("Schedule = %+v, %v; want %+v", got, err, wanted)
			}
			if due, err := tx.DueSchedules(); err != nil || len(due) != 1 {
				t.Errorf("DueSchedules = %+v, %v", due, err)
			}
			return tx.MoveSchedule(wanted.ID, next.Add(time.Hour))
		})
		update(t, s, func(tx *store.Tx) error {
			if due, err := tx.DueSchedules(); err != nil || len(due) != 0 {
				t.Errorf("after it was moved, DueSchedules = %+v, %v", due, err)
			}
			return tx.DeleteSchedule("gc", 0)
		})
		view(t, s, func(tx *store.Tx) error {
			if _, err := tx.Schedule("gc", 0); !errors.Is(err, store.ErrNoRow) {
				t.Errorf("the schedule is still there: %v", err)
			}
			return nil
		})
	})
}
