package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// starting measures how long a server takes from the start of its process to
// its first answer, in an empty folder and in one that it knows.
func (b *bench) starting(ctx context.Context) error {
	for range b.starts {
		for _, p := range b.running {
			if err := b.startTwice(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) startTwice(ctx context.Context, p peer) (err error) {
	home, err := os.MkdirTemp(b.dir, p.name+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	for _, name := range []string{"start, empty folder", "start again"} {
		s := &server{peer: p, home: home, transport: "plain", keys: b.keys}
		if err := s.launch(ctx); err != nil {
			return err
		}
		b.results.add("plain", measurement{name: name, unit: "ms", less: true, limit: true, floor: 100},
			p.name, sample{ops: float64(s.took) / float64(time.Millisecond)})
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}
