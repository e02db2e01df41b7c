package web

import (
	"context"
	"net/url"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/web/ui"
	"github.com/breakwater-registry/breakwater/web/ui/i18n"
)

// scheduleForm is the form of a schedule as it is now.
func scheduleForm(s core.Schedule) ui.ScheduleForm {
	form := ui.ScheduleForm{Form: ui.NewForm(), Type: string(s.Type), Next: s.NextAt}
	if s.Type == core.ScheduleCustom {
		form.Cron = s.Cron
	}
	return form
}

// typedSchedule is the form as it was filled in.
func typedSchedule(values url.Values) ui.ScheduleForm {
	return ui.ScheduleForm{Form: ui.NewForm(), Type: values.Get("type"), Cron: values.Get("cron")}
}

// wrongCron says that the cron expression cannot be used.
func wrongCron(ctx context.Context, form *ui.Form) {
	form.Wrong("cron", i18n.T(ctx, "gc.cron"), i18n.T(ctx, "gc.cron.invalid"))
}
