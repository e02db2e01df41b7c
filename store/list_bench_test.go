package store_test

import (
	"fmt"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

// BenchmarkAuditFilters reads the first page of a log of 200,000 rows by filters
// of which few rows, or none, are.
func BenchmarkAuditFilters(b *testing.B) {
	s, _ := openSQLite(b, b.TempDir()+"/log.db")
	operations, types := []string{"create", "pull", "pull", "pull", "delete"}, []string{"artifact", "artifact", "tag", "member"}
	for i := 0; i < 200_000; i += 5000 {
		err := s.Update(b.Context(), func(tx *store.Tx) error {
			for j := i; j < i+5000; j++ {
				e := core.AuditEvent{Actor: "user:1", Username: "admin", Operation: operations[j%5], ResourceType: types[j%4], Resource: "p/app:v1", ProjectID: int64(1 + j%20), Success: true,
					Origin: core.Origin{Address: fmt.Sprintf("10.0.%d.%d", j%7, j%250)}}
				if j == 17 {
					e.Operation, e.ResourceType, e.Username, e.Origin.Address, e.Success = "export", "audit-log", "ada", "10.9.9.9", false
				}
				if err := tx.AppendAudit(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, f := range []core.Filter{{Field: "operation", Values: []string{"export"}}, {Field: "operation", Values: []string{"none"}}, {Field: "operation", Values: []string{"pull"}},
		{Field: "resource_type", Values: []string{"audit-log"}}, {Field: "resource_type", Values: []string{"artifact"}}, {Field: "username", Values: []string{"ada"}},
		{Field: "client_address", Values: []string{"10.9.9.9"}}, {Field: "operation_result", Values: []string{"false"}}, {Field: "resource", Match: core.MatchFuzzy, Values: []string{"nothing"}}} {
		b.Run(f.Field+"="+f.Values[0], func(b *testing.B) {
			for b.Loop() {
				view(b, s, func(tx *store.Tx) error {
					_, _, err := tx.AuditWindow(store.AuditScope{All: true}, []core.Filter{f}, core.Window{Size: 25})
					return err
				})
			}
		})
	}
}
