package core

import "time"

// AuditEvent is one row of the audit log.
type AuditEvent struct {
	ID           int64
	Time         time.Time
	Actor        string // Subject.String()
	Username     string
	Operation    string // create, update, delete, push, pull, login, ...
	ResourceType string
	Resource     string
	ProjectID    int64 // 0: about no project
	Digest       string
	Origin       Origin
	Success      bool
	Description  string
	Repeats      int64 // how many equal events this row stands for
	Hash         string
}
