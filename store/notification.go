package store

import (
	"strconv"
	"time"

	"github.com/breakwater-registry/breakwater/internal/core"
)

const notificationColumns = `n.id, n.time, n.kind, n.project_id, n.resource, n.digest, n.text`

func scanNotification(row scanner) (core.Notification, error) {
	var n core.Notification
	var us int64
	err := row.Scan(&n.ID, &us, &n.Kind, &n.ProjectID, &n.Resource, &n.Digest, &n.Text)
	n.Time = at(us)
	return n, err
}

// AddNotification adds a notification of now.
func (tx *Tx) AddNotification(n core.Notification) error {
	_, err := tx.exec(`INSERT INTO notification (time, kind, project_id, resource, digest, text) VALUES ($1, $2, $3, $4, $5, $6)`,
		micros(tx.now), n.Kind, n.ProjectID, n.Resource, n.Digest, n.Text)
	return err
}

var notificationFields = fields{
	"id": {"n.id", intField}, "kind": {"n.kind", textField}, "project_id": {"n.project_id", intField},
	"time": {"n.time", timeField}, "resource": {"n.resource", textField},
}

// Notifications lists the notifications, by default the newest first, and
// counts all that match.
func (tx *Tx) Notifications(v AuditScope, q core.Query) ([]core.Notification, int64, error) {
	s := &selection{fields: notificationFields}
	v.add(s, "n.project_id")
	return listPage(tx, s, notificationColumns, "notification n", q, "n.id DESC", "n.id", scanNotification)
}

var byArrival = ordering{columns: []field{{"n.id", intField}}, descending: true}

// NotificationPage reads one page of the notifications, the newest first.
func (tx *Tx) NotificationPage(v AuditScope, w core.Window) ([]core.Notification, core.Ends, error) {
	s := &selection{}
	v.add(s, "n.project_id")
	return windowPage(tx, s, notificationColumns, "notification n", byArrival, w, scanNotification, func(n core.Notification) []any { return []any{n.ID} })
}

// maxUnseen is how far unseen notifications are counted: each page asks for it.
const maxUnseen = 100

// UnseenNotifications counts the notifications with an id above seen, up to 100.
func (tx *Tx) UnseenNotifications(v AuditScope, seen int64) (n int64, err error) {
	s := &selection{}
	v.add(s, "n.project_id")
	s.where("n.id > ?", seen)
	err = tx.get(`SELECT COUNT(*) FROM (SELECT n.id FROM notification n`+s.clause()+` LIMIT `+strconv.Itoa(maxUnseen)+`) few`, s.args, &n)
	return n, err
}

// SeenNotification returns up to which id the account has seen them.
func (tx *Tx) SeenNotification(accountID int64) (id int64, err error) {
	err = tx.get(`SELECT through_id FROM notification_seen WHERE account_id = $1`, []any{accountID}, &id)
	if err == ErrNoRow {
		err = nil
	}
	return id, err
}

// SetSeenNotification notes that the account has seen all up to the id.
func (tx *Tx) SetSeenNotification(accountID, id int64) error {
	_, err := tx.exec(`INSERT INTO notification_seen (account_id, through_id) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET through_id = excluded.through_id WHERE notification_seen.through_id < excluded.through_id`, accountID, id)
	return err
}

// TrimNotifications removes those from before the time.
func (tx *Tx) TrimNotifications(before time.Time) error {
	_, err := tx.exec(`DELETE FROM notification WHERE time < $1`, micros(before))
	return err
}
