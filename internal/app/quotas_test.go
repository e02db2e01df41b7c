package app_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// The text is Harbor's to the letter: scripts look for it.
func TestQuotaText(t *testing.T) {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	for _, tt := range []struct {
		add, used, hard int64
		want            string
	}{
		{510*mib + 7*mib/10, 10 * gib, 10 * gib, "adding 510.7 MiB of storage resource, which when updated to current usage of 10.0 GiB will exceed the configured upper limit of 10.0 GiB."},
		{100, 1023, 1024, "adding 100 B of storage resource, which when updated to current usage of 1023 B will exceed the configured upper limit of 1.0 KiB."},
		{3 * kib / 2, 0, mib, "adding 1.5 KiB of storage resource, which when updated to current usage of 0 B will exceed the configured upper limit of 1.0 MiB."},
		{3 << 39, 1 << 50, 1 << 60, "adding 1.5 TiB of storage resource, which when updated to current usage of 1.0 PiB will exceed the configured upper limit of 1.0 EiB."},
	} {
		err := app.QuotaExceeded(tt.add, tt.used, tt.hard)
		wantCode(t, "quota", err, core.CodeDenied)
		if core.ErrorMessage(err) != tt.want {
			t.Errorf("%q\nwant %q", core.ErrorMessage(err), tt.want)
		}
	}
}

func TestQuotas(t *testing.T) {
	w := newTown(t)
	w.update(t, func(tx *store.Tx) error { _, err := tx.AddUsage(w.here.ID, 500); return err })
	set := func(what string, c core.Caller, id, hard int64, want core.Code) {
		t.Helper()
		wantCode(t, what, w.SetQuota(t.Context(), c, id, hard), want)
	}
	set("below what is used", w.admin, w.here.ID, 400, "")
	project, err := w.Quota(t.Context(), w.admin, w.here.ID)
	if err != nil || project.QuotaHard != 400 || project.QuotaUsed != 500 {
		t.Errorf("quota = %+v, %v", project, err)
	}
	set("none", w.admin, w.here.ID, -1, "")
	set("zero", w.admin, w.here.ID, 0, core.CodeBadRequest)
	set("negative", w.admin, w.here.ID, -2, core.CodeBadRequest)
	set("too much", w.admin, w.here.ID, 1<<61, core.CodeBadRequest)
	set("absent", w.admin, 99, 5, core.CodeNotFound)
	for _, id := range []int64{w.here.ID, w.there.ID, 99} { // no id tells anything
		set("by an administrator of a project", w.ada, id, 5, core.CodeForbidden)
		_, err := w.Quota(t.Context(), w.ada, id)
		wantCode(t, "read", err, core.CodeForbidden)
	}
	set("anonymous", anonymous, w.here.ID, 5, core.CodeUnauthorized)
	_, _, err = w.Quotas(t.Context(), w.ada, listAll)
	wantCode(t, "list", err, core.CodeForbidden)
	if all, total, err := w.Quotas(t.Context(), w.admin, listAll); err != nil || total != 2 || len(all) != 2 {
		t.Errorf("quotas = %+v, %v", all, err)
	}
	if rows := w.audited(t); !containsAll(rows, "admin update quota here ok storage: -1 -> 400", "admin update quota here ok storage: 400 -> -1") {
		t.Errorf("audit = %q", rows)
	}
}
