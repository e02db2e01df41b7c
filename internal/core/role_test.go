package core_test

import (
	"testing"

	"github.com/breakwater-registry/breakwater/internal/core"
)

// Harbor's own table has these many grants for each role.
func TestMatrixHasHarborsNumberOfGrants(t *testing.T) {
	want := map[core.Role]int{
		core.RoleProjectAdmin: 75, core.RoleMaintainer: 53, core.RoleDeveloper: 36,
		core.RoleGuest: 20, core.RoleLimitedGuest: 14, core.RolePublic: 12,
	}
	for role, n := range want {
		if got := len(role.Permissions()); got != n {
			t.Errorf("%s has %d grants, want %d", role, got, n)
		}
	}
}

func TestRoleAllows(t *testing.T) {
	tests := []struct {
		role     core.Role
		resource core.Resource
		action   core.Action
		want     bool
	}{
		{core.RoleDeveloper, core.ResRepository, core.ActPush, true},
		{core.RoleDeveloper, core.ResArtifact, core.ActDelete, false},
		{core.RoleGuest, core.ResRepository, core.ActPush, false},
		{core.RoleGuest, core.ResRepository, core.ActPull, true},
		{core.RoleMaintainer, core.ResMetadata, core.ActUpdate, false},
		{core.RoleLimitedGuest, core.ResMember, core.ActList, false},
		{core.RolePublic, core.ResRepository, core.ActPull, true},
		{core.RolePublic, core.ResRepository, core.ActRead, false},
		{core.Role(0), core.ResProject, core.ActRead, false},
		{core.Role(99), core.ResProject, core.ActRead, false},
	}
	for _, tt := range tests {
		if got := tt.role.Allows(tt.resource, tt.action); got != tt.want {
			t.Errorf("%s %s:%s = %v, want %v", tt.role, tt.resource, tt.action, got, tt.want)
		}
	}
}
