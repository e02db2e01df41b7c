package store

import (
	"database/sql"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const (
	robotColumns = `robot.id, robot.name, COALESCE(robot.project_id, 0), COALESCE(project.name, ''), robot.description, robot.secret_hash,
	robot.disabled, robot.duration, robot.expires_at, robot.creator, robot.created_at, robot.updated_at`
	robotSource = `robot LEFT JOIN project ON project.id = robot.project_id`
)

func scanRobot(row scanner) (core.Robot, error) {
	var r core.Robot
	var expires, created, updated int64
	err := row.Scan(&r.ID, &r.Name, &r.ProjectID, &r.ProjectName, &r.Description, &r.SecretHash,
		&r.Disabled, &r.Duration, &expires, &r.Creator, &created, &updated)
	r.ExpiresAt, r.CreatedAt, r.UpdatedAt = at(expires), at(created), at(updated)
	return r, err
}

var robotFields = fields{
	"id": {"robot.id", intField}, "name": {"robot.name", textField}, "description": {"robot.description", textField},
	"disable": {"robot.disabled", boolField}, "duration": {"robot.duration", intField},
	"expires_at": {"robot.expires_at", timeField}, "creation_time": {"robot.created_at", timeField},
	"update_time": {"robot.updated_at", timeField},
}

func scanGrant(row scanner) (core.RobotGrant, error) {
	var g core.RobotGrant
	err := row.Scan(&g.ProjectID, &g.ProjectName, &g.AllProjects, &g.Resource, &g.Action)
	return g, err
}

// Robot returns the robot account with that id and its grants; ErrNoRow when
// there is none.
func (tx *Tx) Robot(id int64) (core.Robot, error) {
	r, err := one(tx, `SELECT `+robotColumns+` FROM `+robotSource+` WHERE robot.id = $1`, []any{id}, scanRobot)
	return tx.withGrants(r, err)
}

// RobotAccess is Robot for a decision: what it returns must not be changed.
func (tx *Tx) RobotAccess(id int64) (core.Robot, error) {
	return recall(tx, question{query: "robot access", numbers: [6]int64{id}}, func() (core.Robot, error) { return tx.Robot(id) })
}

// RobotByName returns the robot account with that full name and its grants.
func (tx *Tx) RobotByName(full string) (core.Robot, error) {
	r, err := one(tx, `SELECT `+robotColumns+` FROM `+robotSource+` WHERE robot.name = $1`, []any{full}, scanRobot)
	return tx.withGrants(r, err)
}

func (tx *Tx) withGrants(r core.Robot, err error) (core.Robot, error) {
	if err != nil {
		return core.Robot{}, err
	}
	r.Grants, err = list(tx, `SELECT COALESCE(g.project_id, 0), COALESCE(project.name, ''), g.all_projects, g.resource, g.action
		FROM robot_permission g LEFT JOIN project ON project.id = g.project_id
		WHERE g.robot_id = $1 ORDER BY g.all_projects, COALESCE(g.project_id, 0), g.resource, g.action`, []any{r.ID}, scanGrant)
	return r, err
}

// Robots lists the robots of one project or, where projectID is 0, those of
// the system, with their grants.
func (tx *Tx) Robots(projectID int64, q core.Query) ([]core.Robot, int64, error) {
	s := &selection{fields: robotFields}
	if projectID == 0 {
		s.where("robot.project_id IS NULL")
	} else {
		s.where("robot.project_id = ?", projectID)
	}
	robots, total, err := listPage(tx, s, robotColumns, robotSource, q, "robot.name", "robot.id", scanRobot)
	for i := range robots {
		if robots[i], err = tx.withGrants(robots[i], err); err != nil {
			return nil, 0, err
		}
	}
	return robots, total, err
}

// CreateRobot adds a robot account with its grants and returns its id;
// ErrDuplicate when the name is taken.
func (tx *Tx) CreateRobot(r core.Robot) (id int64, err error) {
	err = tx.get(`INSERT INTO robot (name, project_id, description, secret_hash, disabled, duration, expires_at, creator, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id`,
		[]any{r.Name, optional(r.ProjectID), r.Description, r.SecretHash, r.Disabled, r.Duration, micros(r.ExpiresAt), r.Creator, micros(tx.now)}, &id)
	if err != nil {
		return 0, err
	}
	return id, tx.addGrants(id, r.Grants)
}

// UpdateRobot writes the description, the state, the time and the grants of r.
func (tx *Tx) UpdateRobot(r core.Robot) error {
	err := tx.execOne(`UPDATE robot SET description = $2, disabled = $3, duration = $4, expires_at = $5, updated_at = $6 WHERE id = $1`,
		r.ID, r.Description, r.Disabled, r.Duration, micros(r.ExpiresAt), micros(tx.now))
	if err != nil {
		return err
	}
	if _, err := tx.exec(`DELETE FROM robot_permission WHERE robot_id = $1`, r.ID); err != nil {
		return err
	}
	return tx.addGrants(r.ID, r.Grants)
}

func (tx *Tx) addGrants(id int64, grants []core.RobotGrant) error {
	for _, g := range grants {
		if _, err := tx.exec(`INSERT INTO robot_permission (robot_id, project_id, all_projects, resource, action) VALUES ($1, $2, $3, $4, $5)`,
			id, optional(g.ProjectID), g.AllProjects, string(g.Resource), string(g.Action)); err != nil {
			return err
		}
	}
	return nil
}

// optional is NULL for an id of 0.
func optional(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: id != 0} }

// SetRobotSecret replaces what the robot's logins are checked against.
func (tx *Tx) SetRobotSecret(id int64, hash string) error {
	return tx.execOne(`UPDATE robot SET secret_hash = $2, updated_at = $3 WHERE id = $1`, id, hash, micros(tx.now))
}

// DeleteRobot removes the robot account with its grants.
func (tx *Tx) DeleteRobot(id int64) error {
	return tx.execOne(`DELETE FROM robot WHERE id = $1`, id)
}
