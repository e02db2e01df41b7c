package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	barWidth = 24
	// barEvery is how often the bar on a terminal is drawn; elsewhere a line
	// is printed now and then.
	barEvery  = 100 * time.Millisecond
	lineEvery = 10 * time.Second
)

// bar shows how far long work is: as a bar on a terminal, else in plain lines.
type bar struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	phase string
	total int64 // 0: not known
	done  int64
	bytes bool
	began time.Time
	drawn time.Time
	shown bool // there is a bar on the terminal's last line
}

func newBar(out io.Writer) *bar {
	b := &bar{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		b.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// Phase begins the next part of the work.
func (b *bar) Phase(name string, total int64, bytes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase, b.total, b.bytes, b.done = name, total, bytes, 0
	b.began = time.Now()
	b.drawn = b.began
	if b.terminal {
		b.draw()
	}
}

// Add tells that n more bytes or things are done.
func (b *bar) Add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	every := lineEvery
	if b.terminal {
		every = barEvery
	}
	if time.Since(b.drawn) >= every {
		b.drawn = time.Now()
		b.draw()
	}
}

// clear makes room for other output.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		fmt.Fprint(b.out, "\r\033[K")
		b.shown = false
	}
}

func (b *bar) draw() {
	text := b.text(time.Since(b.began))
	if !b.terminal {
		fmt.Fprintf(b.out, "%s\n", text)
		return
	}
	fmt.Fprintf(b.out, "\r\033[K%s", text)
	b.shown = true
}

func (b *bar) text(spent time.Duration) string {
	amount := func(n int64) string { return fmt.Sprint(n) }
	if b.bytes {
		amount = size
	}
	if b.total <= 0 {
		return fmt.Sprintf("%s: %s", b.phase, amount(b.done))
	}
	done := min(b.done, b.total)
	part := float64(done) / float64(b.total)
	filled := int(part * barWidth)
	text := fmt.Sprintf("%s [%s%s] %d%%, %s of %s", b.phase, strings.Repeat("#", filled), strings.Repeat("-", barWidth-filled),
		int(part*100), amount(done), amount(b.total))
	if seconds := spent.Seconds(); seconds > 2 && done > 0 {
		left := time.Duration(float64(spent) * (1 - part) / part).Round(time.Second)
		text += fmt.Sprintf(", %s/s, %s left", amount(int64(float64(done)/seconds)), left)
	}
	return text
}

// size writes a number of bytes.
func size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/(1<<10), "KMGTP"
	for value >= 1<<10 && len(units) > 1 {
		value, units = value/(1<<10), units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}
