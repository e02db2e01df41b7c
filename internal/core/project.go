package core

import (
	"regexp"
	"strings"
	"time"
)

// Project is a group of repositories with members, a quota and policies.
type Project struct {
	ID        int64
	Name      string
	OwnerID   int64
	OwnerName string
	Public    bool
	QuotaHard int64  // bytes, -1 is unlimited
	QuotaUsed int64  // bytes, each distinct blob once
	Policy    string // what pulls must meet, a JSON object of internal/policy; empty: nothing
	RepoCount int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ProjectRef names a project by id or, where ID is 0, by name.
type ProjectRef struct {
	ID   int64
	Name string
}

// Member is a user's role in a project.
type Member struct {
	ID        int64
	ProjectID int64
	UserID    int64
	Username  string
	Role      Role
}

// projectName is Harbor's rule: lower case letters and digits, in parts that
// are joined by one '.', '_' or '-'.
var projectName = regexp.MustCompile(`^[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

// ValidateProjectName checks the name of a new project; it is also the first
// component of its repositories' names.
func ValidateProjectName(name string) error {
	if len(name) < 1 || len(name) > 255 || !projectName.MatchString(name) {
		return Errorf(CodeBadRequest,
			"the project name must have 1 to 255 lower case letters and digits, in parts joined by '.', '_' or '-', such as team-a")
	}
	if !strings.ContainsFunc(name, func(r rune) bool { return r < '0' || r > '9' }) {
		return Errorf(CodeBadRequest, "the project name must not be a number: numbers are project ids")
	}
	return nil
}

// SplitRepository cuts a repository's full name into its project and the rest.
func SplitRepository(full string) (project, path string, ok bool) {
	project, path, ok = strings.Cut(full, "/")
	return project, path, ok && project != "" && path != ""
}

// MaxRepositoryName bounds a repository's full name in characters, as docker does.
const MaxRepositoryName = 255

// repositoryName is the grammar of the distribution specification, "Pulling
// manifests".
var repositoryName = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)

// IsRepositoryName says whether name obeys the grammar of the distribution
// specification, whatever its length and whether or not it has a project.
func IsRepositoryName(name string) bool { return repositoryName.MatchString(name) }

// ValidateRepositoryName checks the full name of a repository that is to be
// made, PROJECT/NAME.
func ValidateRepositoryName(full string) error {
	if _, _, ok := SplitRepository(full); !ok || len(full) > MaxRepositoryName || !IsRepositoryName(full) {
		return Errorf(CodeBadRequest, "%q is not a repository name: it must be PROJECT/NAME in at most %d lower case letters and digits, in parts joined by '.', '_', '-' or '/'",
			Clip(full, 64), MaxRepositoryName)
	}
	return nil
}

// Repository is a named set of artifacts within a project.
type Repository struct {
	ID            int64
	ProjectID     int64
	Name          string // full: project/path
	Description   string
	PullCount     int64
	ArtifactCount int64
	CreatedAt     time.Time
	UpdatedAt     time.Time
}
