package ui

import (
	"context"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// JobPath is the page of a job.
func JobPath(id int64) string { return "/admin/jobs/" + number(id) }

// JobState is the state of a job as a word.
func JobState(ctx context.Context, s core.JobStatus) string {
	return t(ctx, "jobs.state."+strings.ToLower(string(s)))
}

func jobTone(s core.JobStatus) string {
	return map[core.JobStatus]string{core.JobSuccess: "ok", core.JobError: "danger", core.JobStopped: "off"}[s]
}

func jobIcon(s core.JobStatus) string {
	icon := map[core.JobStatus]string{core.JobSuccess: "check", core.JobError: "warn", core.JobStopped: "stop", core.JobPending: "clock"}[s]
	if icon == "" {
		return "jobs"
	}
	return icon
}

func orNotYet(ctx context.Context, text string) string {
	if text == "" {
		return t(ctx, "jobs.not-yet")
	}
	return text
}

func orTitle(phase, title string) string {
	if phase == "" {
		return title
	}
	return phase
}

func scheduleTypes(ctx context.Context) []Option {
	var all []Option
	for _, typ := range []core.ScheduleType{core.ScheduleNone, core.ScheduleHourly, core.ScheduleDaily, core.ScheduleWeekly, core.ScheduleCustom} {
		all = append(all, Option{Value: string(typ), Label: t(ctx, "gc.type."+strings.ToLower(string(typ)))})
	}
	return all
}

func scheduleText(ctx context.Context, next time.Time) string {
	if next.IsZero() {
		return t(ctx, "gc.schedule.none")
	}
	return t(ctx, "gc.schedule.next", i18n.Exact(next))
}
