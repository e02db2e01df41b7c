package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestOnlyCleanReadOnlyPagesOfTheProgramAreReleased(t *testing.T) {
	const smaps = `00400000-01974000 r-xp 00000000 fe:00 9986227                            /usr/bin/breakwater
Rss:               17808 kB
Anonymous:             0 kB
01974000-02fd1000 r--p 01574000 fe:00 9986227                            /usr/bin/breakwater
Anonymous:             4 kB
02000000-02001000 r--p 01574000 fe:00 9986227                            /usr/bin/breakwater (deleted)
Anonymous:             0 kB
02fd1000-031a1000 rw-p 02bd1000 fe:00 9986227                            /usr/bin/breakwater
Anonymous:             0 kB
7f00-7f10 r--p 00000000 fe:00 11                                         /usr/share/zoneinfo/UTC
Anonymous:             0 kB
7f20-7f30 r--s 00000000 fe:00 9986227                                    /usr/bin/breakwater
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0                              [anon: Go: heap]
Anonymous:          4096 kB
`
	got := readOnlyMappings(strings.NewReader(smaps), "/usr/bin/breakwater")
	if want := []mapping{{0x400000, 0x1974000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
