package store

import (
	"github.com/breakwater-registry/breakwater/internal/core"
)

// quotaFields are Harbor's names. The id of a quota is that of its project.
var quotaFields = fields{
	"name": {"project.name", textField}, "id": {"project.id", intField}, "reference_id": {"project.id", intField},
	"hard.storage": {"project.quota_hard", intField}, "used.storage": {"project.quota_used", intField},
	"creation_time": {"project.created_at", timeField}, "update_time": {"project.updated_at", timeField},
}

// Quotas lists the projects by what their quotas hold.
func (tx *Tx) Quotas(q core.Query) ([]core.Project, int64, error) {
	return listPage(tx, &selection{fields: quotaFields}, projectColumns, "project", q, "project.id", "project.id", scanProject)
}
