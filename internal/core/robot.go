package core

import (
	"regexp"
	"time"
)

// RobotPrefix begins the name of every robot account, as in Harbor.
const RobotPrefix = "robot$"

// Robot is an account for a machine. A system robot has no project.
type Robot struct {
	ID          int64
	Name        string // full: robot$name or robot$project+name
	ProjectID   int64  // 0 for a system robot
	ProjectName string
	Description string
	Disabled    bool
	Duration    int64 // days, -1 is for ever
	ExpiresAt   time.Time
	Creator     string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Grants      []RobotGrant
	SecretHash  string
}

// Expired says whether the robot's time is over.
func (r Robot) Expired(now time.Time) bool { return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt) }

// RobotGrant is one permission of a robot: in one project, in all projects or,
// where neither is set, on the system.
type RobotGrant struct {
	ProjectID   int64
	ProjectName string
	AllProjects bool
	Permission
}

var robotName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// ValidateRobotName checks the short name of a new robot account.
func ValidateRobotName(name string) error {
	if len(name) > 255 || !robotName.MatchString(name) {
		return Errorf(CodeBadRequest,
			"the robot name must have 1 to 255 lower case letters and digits, in parts joined by '.', '_' or '-', such as ci-push")
	}
	return nil
}

// RobotFullName is the name a robot logs in with.
func RobotFullName(project, name string) string {
	if project == "" {
		return RobotPrefix + name
	}
	return RobotPrefix + project + "+" + name
}

// GrantablePermissions lists what a robot account may be given: on the system,
// and in a project. The words are those of Harbor's GET /permissions.
func GrantablePermissions() (system, project []Permission) {
	return expand([]grantRow{
			{ResAuditLog, "L"}, {ResCatalog, "R"}, {ResProject, "CL"}, {ResQuota, "RUL"},
			{ResRobot, "CRUDL"}, {ResScanAll, "CRUs"}, {ResScanner, "RL"}, {ResSecurityHub, "RL"}, {ResSystemVolumes, "R"}, {ResUser, "CRUDL"},
		}), expand([]grantRow{
			{ResAccessory, "L"}, {ResArtifact, "CRDL"}, {ResArtifactAddition, "R"}, {ResArtifactLabel, "CD"}, {ResExportCVE, "CRL"},
			{ResImmutableTag, "CUDL"}, {ResLabel, "CRUDL"}, {ResLog, "L"},
			{ResMember, "CRUDL"}, {ResMetadata, "CRUDL"}, {ResProject, "RUD"}, {ResQuota, "R"},
			{ResRepository, "RUDL<>"}, {ResRobot, "CRUDL"}, {ResScan, "CRs"}, {ResScanner, "CR"}, {ResTag, "CDL"}, {ResTagRetention, "CRUDL"},
		})
}

type grantRow struct {
	resource Resource
	letters  string
}

func expand(rows []grantRow) []Permission {
	var all []Permission
	for _, row := range rows {
		for _, letter := range row.letters {
			all = append(all, Permission{row.resource, actionLetters[letter]})
		}
	}
	return all
}
