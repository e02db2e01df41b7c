package core

import "time"

// DayCount is how often images were pulled and pushed on one day, in UTC.
type DayCount struct {
	Day           time.Time
	Pulls, Pushes int64
}
