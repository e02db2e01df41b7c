package core

import (
	"cmp"
	"strconv"
	"strings"
)

// CompareVersions orders two versions of one package, negative when a is the
// lower, by dpkg's rules (Debian Policy, section 5.6.12). Those of rpm and apk
// agree with them but for rare suffixes.
func CompareVersions(a, b string) int {
	epochA, a := epoch(a)
	epochB, b := epoch(b)
	if order := cmp.Compare(epochA, epochB); order != 0 {
		return order
	}
	for a != "" || b != "" {
		var textA, textB, numberA, numberB string
		textA, a = run(a, false)
		textB, b = run(b, false)
		if order := compareText(textA, textB); order != 0 {
			return order
		}
		numberA, a = run(a, true)
		numberB, b = run(b, true)
		numberA, numberB = strings.TrimLeft(numberA, "0"), strings.TrimLeft(numberB, "0")
		if order := cmp.Or(cmp.Compare(len(numberA), len(numberB)), cmp.Compare(numberA, numberB)); order != 0 {
			return order
		}
	}
	return 0
}

// epoch cuts the number before a colon off.
func epoch(version string) (int, string) {
	before, rest, found := strings.Cut(version, ":")
	if n, err := strconv.Atoi(before); found && err == nil {
		return n, rest
	}
	return 0, version
}

// run cuts the leading digits off, or what comes before the first digit.
func run(text string, digits bool) (head, tail string) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9') == digits {
		i++
	}
	return text[:i], text[i:]
}

func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if order := cmp.Compare(weight(a, i), weight(b, i)); order != 0 {
			return order
		}
	}
	return 0
}

// weight has a tilde before the end, that before letters, those before the rest.
func weight(text string, i int) int {
	if i >= len(text) {
		return 0
	}
	switch c := text[i]; {
	case c == '~':
		return -1
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return int(c)
	default:
		return int(c) + 256
	}
}
