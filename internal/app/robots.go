package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/breakwater-registry/breakwater/internal/auth"
	"github.com/breakwater-registry/breakwater/internal/core"
	"github.com/breakwater-registry/breakwater/store"
)

const (
	// robotSecretPrefix lets leak scanners and people recognise the secret.
	robotSecretPrefix = "bwr_"
	maxRobotDays      = 36500
	maxRobotGrants    = 5000
	maxRobotText      = 1024 // bytes of a description
)

// The levels of a robot account and the kinds of its permissions, in Harbor's
// words.
const (
	RobotLevelSystem  = "system"
	RobotLevelProject = "project"
)

// RobotSpec is what a caller asks a robot account to be.
type RobotSpec struct {
	Name        string // short; for an update the full name, too
	Level       string
	Description string
	Duration    int64 // days, -1 is for ever, 0 takes the setting
	Disabled    bool
	Permissions []RobotPermission
}

// RobotPermission is what a robot account may do in one namespace: kind
// project with a project's name or "*" for all, or kind system with "/".
type RobotPermission struct {
	Kind, Namespace string
	Access          []core.Permission
}

// Robots lists the robot accounts of a project or, where projectID is 0, those
// of the system.
func (a *App) Robots(ctx context.Context, c core.Caller, projectID int64, q core.Query) (robots []core.Robot, total int64, err error) {
	err = a.view(ctx, c, func(s *session) error {
		if err := s.onRobots(projectID, core.ActList); err != nil {
			return err
		}
		robots, total, err = s.Robots(projectID, q)
		return err
	})
	return robots, total, err
}

// onRobots authorises action on the robot accounts of a project, or of the
// system where projectID is 0.
func (s *session) onRobots(projectID int64, action core.Action) error {
	if projectID == 0 {
		return s.onSystem(core.ResRobot, action)
	}
	_, err := s.onProject(core.ProjectRef{ID: projectID}, core.ResRobot, action)
	return err
}

// Robot returns one robot account with its permissions.
func (a *App) Robot(ctx context.Context, c core.Caller, id int64) (r core.Robot, err error) {
	err = a.view(ctx, c, func(s *session) error {
		r, err = s.robotFor(id, core.ActRead)
		return err
	})
	return r, err
}

// robotFor authorises action on one robot account, by the project that it
// belongs to and no other (CVE-2022-31667). One that the caller may not even
// read is absent to it.
func (s *session) robotFor(id int64, action core.Action) (core.Robot, error) {
	if s.caller.Kind == core.KindAnonymous {
		return core.Robot{}, s.deny(fmt.Sprintf("robot %d", id), 0, core.Permission{Resource: core.ResRobot, Action: action})
	}
	absent := core.Errorf(core.CodeNotFound, "robot %d not found", id)
	r, err := s.Tx.Robot(id)
	if errors.Is(err, store.ErrNoRow) {
		return core.Robot{}, absent
	}
	if err != nil {
		return core.Robot{}, err
	}
	err = s.onRobots(r.ProjectID, action)
	d, denied := errors.AsType[*denial](err)
	if denied && (action == core.ActRead || s.onRobots(r.ProjectID, core.ActRead) != nil) {
		d.cause = absent
	}
	return r, err
}

// CreateRobot makes a robot account. The secret is told here only.
func (a *App) CreateRobot(ctx context.Context, c core.Caller, spec RobotSpec) (r core.Robot, secret string, err error) {
	secret = auth.NewSecret(robotSecretPrefix)
	err = a.update(ctx, c, func(s *session) error {
		project, err := s.robotHome(spec)
		if err != nil {
			return err
		}
		if r, err = s.newRobot(spec, project); err != nil {
			return err
		}
		r.SecretHash = auth.HashSecret(secret)
		if r.ID, err = s.Tx.CreateRobot(r); err != nil {
			return robotTaken(err, r.Name)
		}
		return s.audit(act{operation: "create", resourceType: "robot", resource: r.Name, project: r.ProjectID, description: describeRobot(r)})
	})
	return r, secret, err
}

func robotTaken(err error, name string) error {
	if errors.Is(err, store.ErrDuplicate) {
		return core.Errorf(core.CodeConflict, "a robot account named %s exists already; choose another name", name)
	}
	return err
}

// robotHome authorises the making of a robot account where the level says. A
// project's robot has permissions in that project only (CVE-2019-16919).
func (s *session) robotHome(spec RobotSpec) (core.Project, error) {
	switch spec.Level {
	case RobotLevelSystem:
		return core.Project{}, s.onSystem(core.ResRobot, core.ActCreate)
	case RobotLevelProject:
		if len(spec.Permissions) != 1 || spec.Permissions[0].Kind != RobotLevelProject {
			return core.Project{}, core.Errorf(core.CodeBadRequest,
				"a robot account of level project needs exactly one entry in permissions, of kind project and with the project's name as namespace")
		}
		return s.onProject(core.ProjectRef{Name: spec.Permissions[0].Namespace}, core.ResRobot, core.ActCreate)
	}
	return core.Project{}, core.Errorf(core.CodeBadRequest, "the level of a robot account is system or project")
}

func (s *session) newRobot(spec RobotSpec, project core.Project) (core.Robot, error) {
	if err := core.ValidateRobotName(spec.Name); err != nil {
		return core.Robot{}, err
	}
	r := core.Robot{
		Name: core.RobotFullName(project.Name, spec.Name), ProjectID: project.ID, ProjectName: project.Name,
		Creator: s.caller.Subject.String(), CreatedAt: s.Now(), UpdatedAt: s.Now(),
	}
	return s.shape(r, spec)
}

// shape gives r what spec asks for, as far as the caller may give it.
func (s *session) shape(r core.Robot, spec RobotSpec) (core.Robot, error) {
	if len(spec.Description) > maxRobotText || !utf8.ValidString(spec.Description) || strings.ContainsFunc(spec.Description, unicode.IsControl) {
		return r, core.Errorf(core.CodeBadRequest, "the description must be plain text of at most %d bytes", maxRobotText)
	}
	if spec.Duration < -1 || spec.Duration > maxRobotDays {
		return r, core.Errorf(core.CodeBadRequest, "the duration must be a number of days from 1 to %d, or -1 for ever", maxRobotDays)
	}
	grants, err := s.grantsOf(r, spec.Permissions)
	if err != nil {
		return r, err
	}
	r.Description, r.Disabled, r.Grants = spec.Description, spec.Disabled, grants
	if r.Duration == 0 || r.Duration != spec.Duration {
		r.Duration = spec.Duration
		if r.Duration == 0 {
			r.Duration = s.app.Settings().RobotDurationDays
		}
		r.ExpiresAt = expiry(r.CreatedAt, r.Duration)
	}
	return r, s.coversAll(grants)
}

// expiry counts from when the robot account was made, as in Harbor.
func expiry(made time.Time, days int64) time.Time {
	if days < 0 {
		return time.Time{}
	}
	return made.AddDate(0, 0, int(days))
}

func describeRobot(r core.Robot) string {
	until := "for ever"
	if !r.ExpiresAt.IsZero() {
		until = "until " + r.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%d permissions, %s, disabled: %t", len(r.Grants), until, r.Disabled)
}

// UpdateRobot replaces description, duration, state and permissions. Level and
// name stay. A robot account with rights that the caller does not have is
// beyond its reach, and so are permissions that it does not have.
func (a *App) UpdateRobot(ctx context.Context, c core.Caller, id int64, spec RobotSpec) error {
	return a.update(ctx, c, func(s *session) error {
		r, err := s.robotFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := sameRobot(r, spec); err != nil {
			return err
		}
		if err := s.coversAll(r.Grants); err != nil {
			return err
		}
		if r, err = s.shape(r, spec); err != nil {
			return err
		}
		if err := s.Tx.UpdateRobot(r); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "robot", resource: r.Name, project: r.ProjectID, description: describeRobot(r)})
	})
}

// SetRobotDisabled switches a robot account off, or on again.
func (a *App) SetRobotDisabled(ctx context.Context, c core.Caller, id int64, disabled bool) error {
	return a.update(ctx, c, func(s *session) error {
		r, err := s.robotFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		if err := s.coversAll(r.Grants); err != nil {
			return err
		}
		r.Disabled = disabled
		if err := s.Tx.UpdateRobot(r); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "robot", resource: r.Name, project: r.ProjectID, description: describeRobot(r)})
	})
}

// RobotLevel is the level of a robot account in Harbor's words.
func RobotLevel(r core.Robot) string {
	if r.ProjectID == 0 {
		return RobotLevelSystem
	}
	return RobotLevelProject
}

func sameRobot(r core.Robot, spec RobotSpec) error {
	short := core.RobotFullName(r.ProjectName, spec.Name)
	if spec.Level != RobotLevel(r) || spec.Name != r.Name && short != r.Name {
		return core.Errorf(core.CodeBadRequest, "cannot update the level or name of robot")
	}
	return nil
}

// RenewRobotSecret replaces the secret of a robot account. Where secret is
// empty a new one is made and returned, else secret is taken: like a CLI
// secret it needs 20 characters at least, because it is hashed fast.
func (a *App) RenewRobotSecret(ctx context.Context, c core.Caller, id int64, secret string) (made string, err error) {
	if secret == "" {
		made = auth.NewSecret(robotSecretPrefix)
		secret = made
	}
	err = a.update(ctx, c, func(s *session) error {
		r, err := s.robotFor(id, core.ActUpdate)
		if err != nil {
			return err
		}
		// Whoever sets the secret can be that robot.
		if err := s.coversAll(r.Grants); err != nil {
			return err
		}
		if made == "" {
			if err := checkSecret(secret); err != nil {
				return err
			}
		}
		if err := s.SetRobotSecret(id, auth.HashSecret(secret)); err != nil {
			return err
		}
		return s.audit(act{operation: "update", resourceType: "robot", resource: r.Name, project: r.ProjectID, description: "secret"})
	})
	return made, err
}

// DeleteRobot removes a robot account. It is out at its next request.
func (a *App) DeleteRobot(ctx context.Context, c core.Caller, id int64) error {
	return a.update(ctx, c, func(s *session) error {
		r, err := s.robotFor(id, core.ActDelete)
		if err != nil {
			return err
		}
		if err := s.Tx.DeleteRobot(id); err != nil {
			return err
		}
		return s.audit(act{operation: "delete", resourceType: "robot", resource: r.Name, project: r.ProjectID})
	})
}
