package core

import "time"

// The kinds of notification.
const (
	NotifyWorse = "image-got-worse" // new vulnerability data says more of an image
)

// Notification is something that people should know of and did not cause. It is
// for those who may see its project, or for the system admins.
type Notification struct {
	ID        int64
	Time      time.Time
	Kind      string
	ProjectID int64  // 0: of the registry
	Resource  string // such as PROJECT/REPOSITORY
	Digest    string
	Text      string
}
