package store_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// day is a moment that rows of these tests are dated from.
var day = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func appendAudit(t *testing.T, s *store.Store, events ...core.AuditEvent) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		for _, e := range events {
			if err := tx.AppendAudit(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func auditRows(t *testing.T, s *store.Store) (rows []core.AuditEvent) {
	t.Helper()
	view(t, s, func(tx *store.Tx) (err error) {
		rows, err = tx.AuditAfter(0, 1000)
		return err
	})
	return rows
}

func sampleEvent() core.AuditEvent {
	return core.AuditEvent{
		ID: 7, Time: day, Actor: "user:1", Username: "ada", Operation: "create", ResourceType: "artifact", Resource: "p/r:t",
		ProjectID: 3, Digest: "sha256:00", Origin: core.Origin{Address: "192.0.2.1", Client: "docker", RequestID: "r1"},
		Success: true, Description: "push", Repeats: 2,
	}
}

// The encoding is a promise to every audit log that was ever written.
func TestAuditHashIsStable(t *testing.T) {
	const want = "54e2f59908550dd9469cc9d694e23a075abfc3f528229f2e9d528e9dc6c3e305"
	if got := store.AuditHash("previous", sampleEvent()); got != want {
		t.Errorf("AuditHash = %s, want %s", got, want)
	}
}

func TestAuditHashCoversEveryField(t *testing.T) {
	base := store.AuditHash("previous", sampleEvent())
	changes := map[string]func(*core.AuditEvent){
		"id":           func(e *core.AuditEvent) { e.ID++ },
		"time":         func(e *core.AuditEvent) { e.Time = e.Time.Add(time.Microsecond) },
		"actor":        func(e *core.AuditEvent) { e.Actor += "x" },
		"username":     func(e *core.AuditEvent) { e.Username += "x" },
		"operation":    func(e *core.AuditEvent) { e.Operation += "x" },
		"type":         func(e *core.AuditEvent) { e.ResourceType += "x" },
		"resource":     func(e *core.AuditEvent) { e.Resource += "x" },
		"project":      func(e *core.AuditEvent) { e.ProjectID++ },
		"digest":       func(e *core.AuditEvent) { e.Digest += "x" },
		"address":      func(e *core.AuditEvent) { e.Origin.Address += "x" },
		"client":       func(e *core.AuditEvent) { e.Origin.Client += "x" },
		"request":      func(e *core.AuditEvent) { e.Origin.RequestID += "x" },
		"success":      func(e *core.AuditEvent) { e.Success = false },
		"description":  func(e *core.AuditEvent) { e.Description += "x" },
		"repeats":      func(e *core.AuditEvent) { e.Repeats++ },
		"moved border": func(e *core.AuditEvent) { e.Actor, e.Username = "user:1a", "da" },
	}
	for name, change := range changes {
		e := sampleEvent()
		change(&e)
		if store.AuditHash("previous", e) == base {
			t.Errorf("the hash does not see a change of %s", name)
		}
	}
	if store.AuditHash("other", sampleEvent()) == base {
		t.Error("the hash does not see the previous one")
	}
}

func TestAuditRowsAreChained(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		nasty := core.AuditEvent{Time: day, Username: "nul\x00", Origin: core.Origin{Client: "bad\xff" + strings.Repeat("é", 5000)}}
		appendAudit(t, s, sampleEvent(), nasty)
		appendAudit(t, s, core.AuditEvent{Username: "later"})
		rows := auditRows(t, s)
		previous := ""
		for i, row := range rows {
			if row.ID != int64(i+1) || row.Hash != store.AuditHash(previous, row) {
				t.Errorf("row %d is not chained: %+v", i+1, row)
			}
			previous = row.Hash
		}
		if len(rows) != 3 || rows[1].Username != "nul\uFFFD" || len(rows[1].Origin.Client) > 4200 || rows[1].Repeats != 1 {
			t.Errorf("rows = %+v", rows)
		}
		if rows[2].Time.IsZero() || !rows[0].Time.Equal(day.Truncate(time.Microsecond)) {
			t.Errorf("times = %v, %v", rows[0].Time, rows[2].Time)
		}
	})
}

func TestRetentionKeepsTheChain(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		old, young := core.AuditEvent{Time: day}, core.AuditEvent{Time: day.Add(time.Hour)}
		appendAudit(t, s, old, old, old, young, old, young)
		before := auditRows(t, s)
		remove := func(cutoff time.Time, through int64, n int, wantRemoved, wantLast int64) {
			t.Helper()
			update(t, s, func(tx *store.Tx) error {
				removed, last, err := tx.RemoveAudit(cutoff, through, n)
				if removed != wantRemoved || last != wantLast {
					t.Errorf("RemoveAudit(%d, %d) = %d up to %d, want %d up to %d", through, n, removed, last, wantRemoved, wantLast)
				}
				return err
			})
		}
		cutoff := day.Add(time.Minute)
		remove(day, math.MaxInt64, 10, 0, 0)    // nothing is older
		remove(cutoff, 1, 10, 1, 1)             // the rest must stay
		remove(cutoff, math.MaxInt64, 1, 1, 2)  // one at a time
		remove(cutoff, math.MaxInt64, 10, 1, 3) // up to the first that is young
		remove(cutoff, math.MaxInt64, 10, 0, 0)
		view(t, s, func(tx *store.Tx) error {
			anchor, err := tx.AuditAnchor()
			if anchor != (store.AuditLink{ID: 3, Hash: before[2].Hash}) {
				t.Errorf("anchor = %+v", anchor)
			}
			return err
		})
		remove(day.Add(2*time.Hour), math.MaxInt64, 10, 3, 6) // the log is empty now
		appendAudit(t, s, young)
		rows := auditRows(t, s)
		if len(rows) != 1 || rows[0].ID != 7 || rows[0].Hash != store.AuditHash(before[5].Hash, rows[0]) {
			t.Errorf("the chain does not go on from the anchor: %+v", rows)
		}
	})
}

func TestAuditListsFilterAndScope(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		var user, admined, guested int64
		update(t, s, func(tx *store.Tx) (err error) {
			if user, err = tx.CreateUser(core.User{Username: "ada"}); err != nil {
				return err
			}
			for i, role := range []core.Role{core.RoleProjectAdmin, core.RoleGuest} {
				id, err := tx.CreateProject(core.Project{Name: string(rune('a' + i)), QuotaHard: -1})
				if err != nil {
					return err
				}
				if _, err := tx.AddMember(id, user, role); err != nil {
					return err
				}
				admined, guested = guested, id
			}
			return nil
		})
		appendAudit(t, s,
			core.AuditEvent{Time: day, Username: "ada", ResourceType: "user", Operation: "login", Success: true},
			core.AuditEvent{Time: day.Add(time.Hour), Username: "ada", ProjectID: admined, Resource: "a/x%y", Operation: "create", Success: true},
			core.AuditEvent{Time: day.Add(2 * time.Hour), Username: "bob", ProjectID: guested, Resource: "b/xzy", Operation: "delete"})
		ids := func(scope store.AuditScope, q, sort string) (ids []int64) {
			t.Helper()
			query, err := core.ParseQuery(q, sort, "", "")
			if err != nil {
				t.Fatal(err)
			}
			view(t, s, func(tx *store.Tx) error {
				rows, total, err := tx.Audit(scope, query)
				for _, row := range rows {
					ids = append(ids, row.ID)
				}
				if total != int64(len(ids)) {
					t.Errorf("total %d of %v", total, ids)
				}
				return err
			})
			return ids
		}
		all := store.AuditScope{All: true}
		for _, tt := range []struct {
			name, q, sort string
			scope         store.AuditScope
			want          []int64
		}{
			{"newest first", "", "", all, []int64{3, 2, 1}},
			{"sorted", "", "op_time", all, []int64{1, 2, 3}},
			{"by user", "username=ada", "", all, []int64{2, 1}},
			{"by part, no wildcard", "resource=~X%", "", all, []int64{2}},
			{"by time", "op_time=[2026-01-02T03:30:00Z~2026-01-02T04:30:00Z]", "", all, []int64{2}},
			{"failures", "operation_result=false", "", all, []int64{3}},
			{"by several", "operation={login delete}", "", all, []int64{3, 1}},
			{"keyset", "id=[~2]", "-id", all, []int64{2, 1}},
			{"projects", "", "", store.AuditScope{AllProjects: true}, []int64{3, 2}},
			{"as administrator", "", "", store.AuditScope{UserID: user, Roles: []core.Role{core.RoleProjectAdmin}}, []int64{2}},
			{"listed", "", "", store.AuditScope{IDs: []int64{guested}}, []int64{3}},
			{"nothing", "", "", store.AuditScope{}, nil},
			{"a filter does not widen", "project_id=2", "", store.AuditScope{IDs: []int64{admined}}, nil},
		} {
			if got := ids(tt.scope, tt.q, tt.sort); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		view(t, s, func(tx *store.Tx) error {
			page, err := tx.AuditPage(all, []core.Filter{{Field: "username", Values: []string{"ada"}}}, 1, 3, 10)
			if len(page) != 1 || page[0].ID != 2 {
				t.Errorf("page = %+v", page)
			}
			return err
		})
	})
}

func TestAuditCursor(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *store.Store, _ *memoryJournal) {
		cursor := func() (id int64, err error) {
			e := s.View(t.Context(), func(tx *store.Tx) error {
				id, err = tx.AuditCursor()
				return err
			})
			return id, e
		}
		if _, err := cursor(); err != store.ErrNoRow {
			t.Errorf("a cursor before the first: %v", err)
		}
		update(t, s, func(tx *store.Tx) error { return tx.SetAuditCursor(41) })
		update(t, s, func(tx *store.Tx) error { return tx.SetAuditCursor(42) })
		if id, err := cursor(); id != 42 || err != nil {
			t.Errorf("cursor = %d, %v", id, err)
		}
		update(t, s, (*store.Tx).ClearAuditCursor)
		if _, err := cursor(); err != store.ErrNoRow {
			t.Errorf("the cursor was not cleared: %v", err)
		}
		appendAudit(t, s, core.AuditEvent{ResourceType: "a", Resource: "b"}, core.AuditEvent{ResourceType: "a", Resource: "c"})
		view(t, s, func(tx *store.Tx) error {
			found, err := tx.LastAuditOf("a", "b")
			if err != nil || found != 1 {
				t.Errorf("LastAuditOf = %d, %v", found, err)
			}
			none, err := tx.LastAuditOf("a", "z")
			if none != 0 {
				t.Errorf("LastAuditOf nothing = %d", none)
			}
			return err
		})
	})
}
