package app

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

// act is what an audit row tells of one change, beside who made it.
type act struct {
	operation    string // create, update, delete, push, ...
	resourceType string // project, member, user, robot, repository, artifact, tag, ...
	resource     string
	project      int64
	digest       string
	description  string
}

// audit writes the row of a change into the change's own transaction.
func (s *session) audit(a act) error {
	return s.AppendAudit(s.event(a))
}

func (s *session) event(a act) core.AuditEvent {
	return core.AuditEvent{
		Time: s.Now(), Actor: s.caller.Subject.String(), Username: s.username, Origin: s.caller.Origin,
		Operation: a.operation, ResourceType: a.resourceType, Resource: a.resource, ProjectID: a.project,
		Digest: a.digest, Success: true, Description: a.description, Repeats: 1,
	}
}
