package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const auditColumns = `audit.id, audit.time, audit.actor, audit.username, audit.operation, audit.resource_type, audit.resource, audit.project_id,
	audit.digest, audit.address, audit.client, audit.request_id, audit.success, audit.description, audit.repeats, audit.hash`

func scanAudit(row scanner) (core.AuditEvent, error) {
	var e core.AuditEvent
	var when int64
	err := row.Scan(&e.ID, &when, &e.Actor, &e.Username, &e.Operation, &e.ResourceType, &e.Resource, &e.ProjectID,
		&e.Digest, &e.Origin.Address, &e.Origin.Client, &e.Origin.RequestID, &e.Success, &e.Description, &e.Repeats, &e.Hash)
	e.Time = at(when)
	return e, err
}

// auditFields are Harbor's names.
var auditFields = fields{
	"id": {"audit.id", intField}, "username": {"audit.username", textField}, "operator": {"audit.username", textField},
	"operation": {"audit.operation", textField}, "resource_type": {"audit.resource_type", textField},
	"resource": {"audit.resource", textField}, "op_time": {"audit.time", timeField},
	"creation_time": {"audit.time", timeField}, "project_id": {"audit.project_id", intField},
	"operation_result": {"audit.success", boolField}, "client_address": {"audit.address", textField},
	"request_id": {"audit.request_id", textField}, "digest": {"audit.digest", textField},
}

// auditAnchorKey is the setting that holds the link of the last row which
// retention removed; the chain goes on from it.
const auditAnchorKey = "audit_anchor"

// AuditLink is one end of the chain: the id and the hash of a row.
type AuditLink struct {
	ID   int64
	Hash string
}

// AuditHash computes the hash of e, which follows the row whose hash is
// previous: the lower-case hex SHA-256 over these fields in this order:
// "breakwater-audit-1", previous, id, time (microseconds since 1970 UTC),
// actor, username, operation, resource type, resource, project id, digest,
// address, client, request id, success (1 or 0), description, repeats. A text
// is its length in bytes as 8 bytes big-endian, then its bytes; a number is 8
// bytes big-endian. So no two different rows have the same encoding.
func AuditHash(previous string, e core.AuditEvent) string {
	var b []byte
	number := func(n int64) { b = binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(all ...string) {
		for _, s := range all {
			number(int64(len(s)))
			b = append(b, s...)
		}
	}
	text("breakwater-audit-1", previous)
	number(e.ID)
	number(micros(e.Time))
	text(e.Actor, e.Username, e.Operation, e.ResourceType, e.Resource)
	number(e.ProjectID)
	text(e.Digest, e.Origin.Address, e.Origin.Client, e.Origin.RequestID)
	number(map[bool]int64{true: 1}[e.Success])
	text(e.Description)
	number(e.Repeats)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// AppendAudit adds a row to the end of the chain. ID and Hash are set here,
// texts that a client chose are cut to a size and to characters which every
// engine can store, and a zero Time means now.
func (tx *Tx) AppendAudit(e core.AuditEvent) error {
	last, err := tx.LastAudit()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if e.Time.IsZero() {
		e.Time = tx.now
	}
	for _, field := range []*string{&e.Actor, &e.Username, &e.Operation, &e.ResourceType, &e.Resource, &e.Digest,
		&e.Origin.Address, &e.Origin.Client, &e.Origin.RequestID, &e.Description} {
		*field = storable(*field)
	}
	e.ID, e.Repeats = last.ID+1, max(1, e.Repeats)
	_, err = tx.exec(`INSERT INTO audit (id, time, actor, username, operation, resource_type, resource, project_id, digest,
			address, client, request_id, success, description, repeats, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		e.ID, micros(e.Time), e.Actor, e.Username, e.Operation, e.ResourceType, e.Resource, e.ProjectID, e.Digest,
		e.Origin.Address, e.Origin.Client, e.Origin.RequestID, e.Success, e.Description, e.Repeats, AuditHash(last.Hash, e))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// maxAuditText bounds each text of a row, in bytes.
const maxAuditText = 4096

// storable cuts s to what both engines store unchanged: PostgreSQL takes
// neither invalid UTF-8 nor NUL.
func storable(s string) string {
	if len(s) > maxAuditText {
		s = s[:maxAuditText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// LastAudit returns the end of the chain; a zero link before the first row.
func (tx *Tx) LastAudit() (AuditLink, error) {
	var l AuditLink
	err := tx.get(`SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1`, nil, &l.ID, &l.Hash)
	if errors.Is(err, ErrNoRow) {
		return tx.AuditAnchor()
	}
	return l, err
}

// AuditAnchor returns the link before the oldest row that is kept; a zero link
// while retention has removed none.
func (tx *Tx) AuditAnchor() (AuditLink, error) {
	var text string
	err := tx.get(`SELECT value FROM setting WHERE key = $1`, []any{auditAnchorKey}, &text)
	if errors.Is(err, ErrNoRow) {
		return AuditLink{}, nil
	}
	if err != nil {
		return AuditLink{}, err
	}
	var l AuditLink
	if n, err := fmt.Sscanf(text, "%d %64s", &l.ID, &l.Hash); err != nil || n != 2 {
		return AuditLink{}, fmt.Errorf("the setting %s is not ID HASH: %q", auditAnchorKey, text)
	}
	return l, nil
}

// RemoveAudit removes at most n of the oldest rows, as long as they are older
// than before and their ids not past through, and moves the anchor of the
// chain behind them. It stops at the first row that stays, so that the chain
// has no gap. It returns how many rows went and the id of the last of them.
func (tx *Tx) RemoveAudit(before time.Time, through int64, n int) (removed, last int64, err error) {
	var anchor AuditLink
	open := true
	err = tx.each(`SELECT id, hash, time FROM audit WHERE id <= $1 ORDER BY id LIMIT $2`, []any{through, n}, func(row scanner) error {
		var link AuditLink
		var when int64
		if err := row.Scan(&link.ID, &link.Hash, &when); err != nil {
			return err
		}
		if open = open && when < micros(before); open {
			anchor, removed = link, removed+1
		}
		return nil
	})
	if err != nil || removed == 0 {
		return 0, 0, err
	}
	if _, err := tx.exec(`DELETE FROM audit WHERE id <= $1`, anchor.ID); err != nil {
		return 0, 0, err
	}
	return removed, anchor.ID, tx.SetSetting(auditAnchorKey, fmt.Sprintf("%d %s", anchor.ID, anchor.Hash))
}

// auditCursorKey is the setting that holds how far forwarding has come.
const auditCursorKey = "audit_forward_cursor"

// AuditCursor returns the id of the last row that was forwarded; ErrNoRow when
// forwarding has not begun.
func (tx *Tx) AuditCursor() (id int64, err error) {
	var text string
	if err := tx.get(`SELECT value FROM setting WHERE key = $1`, []any{auditCursorKey}, &text); err != nil {
		return 0, err
	}
	if id, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, fmt.Errorf("the setting %s: %w", auditCursorKey, err)
	}
	return id, nil
}

// SetAuditCursor notes that all rows up to id have been forwarded.
func (tx *Tx) SetAuditCursor(id int64) error {
	return tx.SetSetting(auditCursorKey, strconv.FormatInt(id, 10))
}

// ClearAuditCursor notes that nothing is forwarded any more.
func (tx *Tx) ClearAuditCursor() error {
	_, err := tx.exec(`DELETE FROM setting WHERE key = $1`, auditCursorKey)
	return err
}

// LastAuditOf returns the id of the newest row about that resource; 0 when
// there is none.
func (tx *Tx) LastAuditOf(resourceType, resource string) (id int64, err error) {
	err = tx.get(`SELECT COALESCE(MAX(id), 0) FROM audit WHERE resource_type = $1 AND resource = $2`, []any{resourceType, resource}, &id)
	return id, err
}

// AuditAfter returns at most n rows that come after the row id, in order.
func (tx *Tx) AuditAfter(id int64, n int) ([]core.AuditEvent, error) {
	return list(tx, `SELECT `+auditColumns+` FROM audit WHERE audit.id > $1 ORDER BY audit.id LIMIT $2`, []any{id, n}, scanAudit)
}

// AuditScope selects the rows of the audit log, or the notifications, that a
// caller may see: all of them, those about any project, or those about projects
// in which the user has one of the roles or which IDs lists.
type AuditScope struct {
	All         bool
	AllProjects bool
	UserID      int64
	Roles       []core.Role
	IDs         []int64
}

// add limits the selection by the column with the project's id.
func (v AuditScope) add(s *selection, column string) {
	switch {
	case v.All:
	case v.AllProjects:
		s.where(column + " > 0")
	case v.UserID != 0 && len(v.Roles) > 0:
		args := []any{v.UserID}
		for _, role := range v.Roles {
			args = append(args, int64(role))
		}
		s.where(column+` IN (SELECT project_id FROM member WHERE account_id = ? AND role IN (?`+
			strings.Repeat(", ?", len(v.Roles)-1)+`))`, args...)
	default:
		in(s, column, v.IDs)
	}
}

// Audit lists the rows within the scope, the newest first, and counts all that match.
func (tx *Tx) Audit(v AuditScope, q core.Query) ([]core.AuditEvent, int64, error) {
	s := &selection{fields: auditFields}
	v.add(s, "audit.project_id")
	return listPage(tx, s, auditColumns, "audit", q, "audit.id DESC", "audit.id DESC", scanAudit)
}

// AuditPage returns at most n rows within the scope and the filters whose ids
// come after the id after and are not past through, in order: one page of an
// export, at the same cost however far it is from the start.
func (tx *Tx) AuditPage(v AuditScope, filters []core.Filter, after, through int64, n int) ([]core.AuditEvent, error) {
	s := &selection{fields: auditFields}
	v.add(s, "audit.project_id")
	s.where("audit.id > ?", after)
	s.where("audit.id <= ?", through)
	if err := s.filter(filters); err != nil {
		return nil, err
	}
	clause := s.clause()
	return list(tx, "SELECT "+auditColumns+" FROM audit"+clause+" ORDER BY audit.id LIMIT "+s.value(n), s.args, scanAudit)
}
