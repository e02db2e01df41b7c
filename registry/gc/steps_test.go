package gc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/breakwater-registry/breakwater/internal/app"
)

var errKilled = errors.New("killed")

// interruption is what happens to a run between two steps.
type interruption struct {
	end  func(cancel context.CancelFunc) error // nil: it goes on
	late bool                                  // the client comes after the restart, before anything else
}

var interruptions = map[string]interruption{
	"goes on":                   {},
	"is stopped":                {end: func(cancel context.CancelFunc) error { cancel(); return context.Canceled }},
	"is killed":                 {end: func(context.CancelFunc) error { return errKilled }},
	"is killed and starts anew": {end: func(context.CancelFunc) error { return errKilled }, late: true},
}

// client brings content back that is just being collected.
type client struct {
	prepare func(w *world, i image) (location string, err error) // before the run
	act     func(w *world, i image, location string) error       // between two steps of it
	finish  func(w *world, i image) error                        // after it; nil: act has pushed all
}

var clients = map[string]client{
	"asked for, and its manifest pushed after the run": {
		act: func(w *world, i image, _ string) error {
			for _, part := range i.parts {
				if err := w.pushBlob("p/a", "", part); err != nil {
					return err
				}
			}
			return nil
		},
		finish: func(w *world, i image) error {
			return w.expect(http.StatusCreated, "PUT", "/v2/p/a/manifests/v1", manifestType, i.manifest)
		},
	},
	"pushed to the same repository": {act: func(w *world, i image, _ string) error { return w.push("p/a", "", "v1", i) }},
	"pushed to another repository":  {act: func(w *world, i image, _ string) error { return w.push("p/b", "", "v1", i) }},
	"mounted":                       {act: func(w *world, i image, _ string) error { return w.push("p/b", "p/a", "v1", i) }},
	"finished an upload": {
		prepare: func(w *world, i image) (string, error) {
			rec := w.request("POST", "/v2/p/b/blobs/uploads/", "", nil)
			location := rec.Header().Get("Location")
			return location, w.expect(http.StatusAccepted, "PATCH", location, "application/octet-stream", i.parts[1])
		},
		act: func(w *world, i image, location string) error {
			if err := w.expect(http.StatusCreated, "PUT", location+"?digest="+digestOf(i.parts[1]), "", nil); err != nil {
				return err
			}
			return w.push("p/b", "", "v1", i)
		},
	},
}

// The collection is interrupted between every two steps while a client brings
// the content back that is just being collected. What the client was told to be
// there is there, then and after the next collection.
func TestEveryStepMayBeTheLast(t *testing.T) {
	for how, interruption := range interruptions {
		for what, client := range clients {
			if client.finish == nil && (how == "is stopped" || how == "is killed" && client.prepare == nil) {
				continue // the other ends are harder
			}
			t.Run(what+" while it "+how, func(t *testing.T) {
				t.Parallel()
				s := &stepping{world: newWorld(t), client: client, interruption: interruption}
				for s.interrupted(t) {
					s.n++
				}
				s.checkTidy(t)
				if s.n < 8 {
					t.Errorf("the run has only %d steps", s.n)
				}
			})
		}
	}
}

// stepping interrupts one run after the other, each before the step n.
type stepping struct {
	*world
	client       client
	interruption interruption
	n            int
	image        image  // that is garbage, and comes back
	location     string // of the upload that was prepared
	at           string // the step before which the run was interrupted; "" when it has fewer
}

// interrupted says whether there was a step n.
func (s *stepping) interrupted(t *testing.T) bool {
	t.Helper()
	s.discard(t)
	err := s.run(t)
	switch {
	case errors.Is(err, errKilled):
		s.close(t)
		s.open(t)
		if s.interruption.late {
			must(t, s.client.act(s.world, s.image, s.location))
		}
		must(t, s.collector.Resume(t.Context()))
	case err != nil && !errors.Is(err, context.Canceled):
		t.Fatal(err)
	}
	if s.at == "" {
		if s.pull("p/a", s.image) == nil || s.pull("p/b", s.image) == nil {
			t.Error("a deleted image is still there")
		}
		return false
	}
	if s.client.finish != nil {
		must(t, s.client.finish(s.world, s.image))
	}
	s.compare(t)
	return true
}

// discard makes a new image garbage.
func (s *stepping) discard(t *testing.T) {
	t.Helper()
	s.image, s.at = newImage(fmt.Sprint("image", s.n), bytesOf(fmt.Sprint("layer", s.n), 3000)), ""
	must(t, s.push("p/a", "", "v1", s.image))
	must(t, s.remove("p/a", s.image))
	s.dayLater(t)
	if s.client.prepare != nil {
		var err error
		s.location, err = s.client.prepare(s.world, s.image)
		must(t, err)
	}
}

// run collects, and interrupts that before the step n.
func (s *stepping) run(t *testing.T) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	step := 0
	s.collector.SetStep(func(ctx context.Context, at string) error {
		if step++; step != s.n+1 {
			return ctx.Err()
		}
		s.at = at
		if !s.interruption.late {
			must(t, s.client.act(s.world, s.image, s.location))
		}
		if s.interruption.end == nil {
			return nil
		}
		return s.interruption.end(cancel)
	})
	_, err := s.collector.Run(ctx, app.GCOptions{}, &reports{})
	s.collector.SetStep(func(ctx context.Context, _ string) error { return ctx.Err() })
	return err
}

// compare demands that the image is there, now and after another day and run.
func (s *stepping) compare(t *testing.T) {
	t.Helper()
	where := "p/b"
	if s.request("HEAD", "/v2/p/b/manifests/"+digestOf(s.image.manifest), "", nil).Code != http.StatusOK {
		where = "p/a"
	}
	if err := s.pull(where, s.image); err != nil {
		t.Fatalf("after step %d (%s): %v", s.n, s.at, err)
	}
	s.dayLater(t)
	s.collect(t, app.GCOptions{})
	if err := s.pull(where, s.image); err != nil {
		t.Fatalf("after step %d (%s) and the next run: %v", s.n, s.at, err)
	}
	must(t, s.remove(where, s.image)) // of the next, nothing is live
}
