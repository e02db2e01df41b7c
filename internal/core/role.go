package core

import "strings"

// Role is a member's role in a project. The numbers are Harbor's role ids.
type Role int

// The project roles. RolePublic is what everyone, signed in or not, may do in
// a public project; it is never stored.
const (
	RoleProjectAdmin Role = 1
	RoleDeveloper    Role = 2
	RoleGuest        Role = 3
	RoleMaintainer   Role = 4
	RoleLimitedGuest Role = 5
	RolePublic       Role = -1
)

// Valid says whether r may be given to a member.
func (r Role) Valid() bool { return r >= RoleProjectAdmin && r <= RoleLimitedGuest }

// String returns Harbor's name of the role.
func (r Role) String() string {
	switch r {
	case RoleProjectAdmin:
		return "projectAdmin"
	case RoleDeveloper:
		return "developer"
	case RoleGuest:
		return "guest"
	case RoleMaintainer:
		return "maintainer"
	case RoleLimitedGuest:
		return "limitedGuest"
	case RolePublic:
		return "public"
	}
	return "none"
}

// Resource is what a permission is about, in Harbor's words.
type Resource string

// The resources of a project, and those of the system that a robot account or
// the system admin may reach.
const (
	ResProject            Resource = "project"
	ResMember             Resource = "member"
	ResMetadata           Resource = "metadata"
	ResLog                Resource = "log"
	ResLabel              Resource = "label"
	ResQuota              Resource = "quota"
	ResRepository         Resource = "repository"
	ResTagRetention       Resource = "tag-retention"
	ResImmutableTag       Resource = "immutable-tag"
	ResConfiguration      Resource = "configuration"
	ResRobot              Resource = "robot"
	ResNotificationPolicy Resource = "notification-policy"
	ResScan               Resource = "scan"
	ResSBOM               Resource = "sbom"
	ResScanner            Resource = "scanner"
	ResArtifact           Resource = "artifact"
	ResArtifactAddition   Resource = "artifact-addition"
	ResTag                Resource = "tag"
	ResAccessory          Resource = "accessory"
	ResArtifactLabel      Resource = "artifact-label"
	ResPreheatPolicy      Resource = "preheat-policy"
	ResExportCVE          Resource = "export-cve"

	ResCatalog       Resource = "catalog"
	ResAuditLog      Resource = "audit-log"
	ResUser          Resource = "user"
	ResSystemVolumes Resource = "system-volumes"
	ResCertificate   Resource = "certificate"
)

// Action is what is done to a resource, in Harbor's words.
type Action string

// The actions.
const (
	ActCreate  Action = "create"
	ActRead    Action = "read"
	ActUpdate  Action = "update"
	ActDelete  Action = "delete"
	ActList    Action = "list"
	ActOperate Action = "operate"
	ActPull    Action = "pull"
	ActPush    Action = "push"
	ActStop    Action = "stop"
)

// Permission is one grant.
type Permission struct {
	Resource Resource
	Action   Action
}

// roleMatrix is Harbor's table of project roles (src/common/rbac/project):
// C create, R read, U update, D delete, L list, o operate, < pull, > push,
// s stop. The columns are projectAdmin, maintainer, developer, guest,
// limitedGuest and anyone on a public project.
const roleMatrix = `
project             RUD     R       R      R    R   R
member              CRUDL   RL      RL     RL   -   -
metadata            CRUD    R       -      -    -   -
log                 L       -       -      -    -   -
label               CRUDL   CRUDL   RL     RL   -   RL
quota               R       R       R      R    R   -
repository          CRUDL<> CRUDL<> CRUL<> RL<  RL< L<
tag-retention       CRUDLo  CRUDLo  CRUDLo -    -   -
immutable-tag       CUDL    CUDL    -      -    -   -
configuration       RU      R       R      R    R   -
robot               CRUDL   RL      RL     RL   -   -
notification-policy CRUDL   RL      -      -    -   -
scan                CRs     CRs     R      R    R   R
sbom                CRs     CRs     R      R    R   -
scanner             CR      R       R      R    R   R
artifact            CRDL    CRDL    CRL    RL   RL  RL
artifact-addition   R       R       R      R    R   R
tag                 CDL     CDL     CL     L    L   L
accessory           L       L       L      L    L   L
artifact-label      CD      CD      CD     -    -   -
preheat-policy      CRUDL   -       -      -    -   -
export-cve          CRL     CRL     CRL    -    -   -
`

var (
	matrixColumns = []Role{RoleProjectAdmin, RoleMaintainer, RoleDeveloper, RoleGuest, RoleLimitedGuest, RolePublic}
	actionLetters = map[rune]Action{
		'C': ActCreate, 'R': ActRead, 'U': ActUpdate, 'D': ActDelete, 'L': ActList,
		'o': ActOperate, '<': ActPull, '>': ActPush, 's': ActStop,
	}
	grants = parseMatrix(roleMatrix)
)

func parseMatrix(table string) map[Role]map[Permission]bool {
	all := make(map[Role]map[Permission]bool, len(matrixColumns))
	for _, role := range matrixColumns {
		all[role] = map[Permission]bool{}
	}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		fields := strings.Fields(line)
		for i, role := range matrixColumns {
			for _, letter := range fields[i+1] {
				if action, ok := actionLetters[letter]; ok {
					all[role][Permission{Resource(fields[0]), action}] = true
				}
			}
		}
	}
	return all
}

// Allows says whether the role grants action on resource.
func (r Role) Allows(resource Resource, action Action) bool {
	return grants[r][Permission{resource, action}]
}

// Permissions returns every grant of the role, in no order.
func (r Role) Permissions() []Permission {
	list := make([]Permission, 0, len(grants[r]))
	for p := range grants[r] {
		list = append(list, p)
	}
	return list
}
