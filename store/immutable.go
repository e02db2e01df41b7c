package store

import (
	"encoding/json"
	"fmt"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const immutableRuleColumns = `immutable_rule.id, immutable_rule.project_id, immutable_rule.disabled, immutable_rule.priority,
	immutable_rule.tags, immutable_rule.repositories, immutable_rule.created_at, immutable_rule.updated_at`

func scanImmutableRule(row scanner) (core.ImmutableRule, error) {
	var r core.ImmutableRule
	var tags, repositories string
	var created, updated int64
	if err := row.Scan(&r.ID, &r.ProjectID, &r.Disabled, &r.Priority, &tags, &repositories, &created, &updated); err != nil {
		return r, err
	}
	r.CreatedAt, r.UpdatedAt = at(created), at(updated)
	if err := json.Unmarshal([]byte(tags), &r.Tags); err != nil {
		return r, fmt.Errorf("tags of immutability rule %d: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(repositories), &r.Repositories); err != nil {
		return r, fmt.Errorf("repositories of immutability rule %d: %w", r.ID, err)
	}
	return r, nil
}

func encodeImmutableRule(r core.ImmutableRule) (tags, repositories string, err error) {
	t, err := json.Marshal(r.Tags)
	if err != nil {
		return "", "", err
	}
	s, err := json.Marshal(r.Repositories)
	return string(t), string(s), err
}

var immutableRuleFields = fields{
	"id": {"immutable_rule.id", intField}, "disabled": {"immutable_rule.disabled", boolField},
	"priority":      {"immutable_rule.priority", intField},
	"creation_time": {"immutable_rule.created_at", timeField}, "update_time": {"immutable_rule.updated_at", timeField},
}

// ImmutableRules returns all immutability rules of the project.
func (tx *Tx) ImmutableRules(projectID int64) ([]core.ImmutableRule, error) {
	return list(tx, `SELECT `+immutableRuleColumns+` FROM immutable_rule WHERE project_id = $1 ORDER BY id`,
		[]any{projectID}, scanImmutableRule)
}

// ListImmutableRules lists the immutability rules of the project and counts all
// that match.
func (tx *Tx) ListImmutableRules(projectID int64, q core.Query) ([]core.ImmutableRule, int64, error) {
	s := &selection{fields: immutableRuleFields}
	s.where("immutable_rule.project_id = ?", projectID)
	return listPage(tx, s, immutableRuleColumns, "immutable_rule", q, "immutable_rule.id", "immutable_rule.id", scanImmutableRule)
}

// ImmutableRule returns one rule of the project; ErrNoRow when it has none such.
func (tx *Tx) ImmutableRule(projectID, id int64) (core.ImmutableRule, error) {
	return one(tx, `SELECT `+immutableRuleColumns+` FROM immutable_rule WHERE project_id = $1 AND id = $2`,
		[]any{projectID, id}, scanImmutableRule)
}

// CreateImmutableRule adds a rule to its project and returns its id.
func (tx *Tx) CreateImmutableRule(r core.ImmutableRule) (id int64, err error) {
	tags, repositories, err := encodeImmutableRule(r)
	if err != nil {
		return 0, err
	}
	err = tx.get(`INSERT INTO immutable_rule (project_id, disabled, priority, tags, repositories, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING id`,
		[]any{r.ProjectID, r.Disabled, r.Priority, tags, repositories, micros(tx.now)}, &id)
	return id, err
}

// SetImmutableRule replaces what the rule of that project and id says; ErrNoRow
// when the project has none such.
func (tx *Tx) SetImmutableRule(r core.ImmutableRule) error {
	tags, repositories, err := encodeImmutableRule(r)
	if err != nil {
		return err
	}
	return tx.execOne(`UPDATE immutable_rule SET disabled = $3, priority = $4, tags = $5, repositories = $6, updated_at = $7
		WHERE project_id = $1 AND id = $2`, r.ProjectID, r.ID, r.Disabled, r.Priority, tags, repositories, micros(tx.now))
}

// DeleteImmutableRule removes a rule of the project; ErrNoRow when it has none
// such.
func (tx *Tx) DeleteImmutableRule(projectID, id int64) error {
	return tx.execOne(`DELETE FROM immutable_rule WHERE project_id = $1 AND id = $2`, projectID, id)
}
