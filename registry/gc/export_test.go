package gc

import "context"

// SetStep has fn called between any two steps of a run.
func (c *Collector) SetStep(fn func(ctx context.Context, name string) error) { c.step = fn }
