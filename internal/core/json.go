package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxJSONDepth bounds how deep documents may nest.
const maxJSONDepth = 32

// CheckJSON refuses what two readers could understand in two ways: a document
// that is no object or array, has invalid UTF-8, a key twice in one object, or
// anything after its end. Its error is one clause that begins with "it", for
// the caller to put the document's name in front of.
func CheckJSON(document []byte) error {
	if !utf8.Valid(document) {
		return errors.New("it is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	token, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	open, ok := token.(json.Delim)
	if !ok {
		return errors.New("it must be a JSON object")
	}
	if err := checkValue(d, open, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it has something after its JSON value")
	}
	return nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is empty, or ends too early, where JSON is needed")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not valid JSON at byte %d", e.Offset)
	}
	return errors.New("it is not valid JSON")
}

// checkValue reads to the end of the object or array that open began.
func checkValue(d *json.Decoder, open json.Delim, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxJSONDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			if err := checkKey(d, seen); err != nil {
				return err
			}
		}
		token, err := d.Token()
		if err != nil {
			return notJSON(err)
		}
		if inner, ok := token.(json.Delim); ok {
			if err := checkValue(d, inner, depth+1); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return notJSON(err)
	}
	return nil
}

// checkKey reads a key. Keys that differ in case only count as equal, because
// encoding/json fills the same field from both.
func checkKey(d *json.Decoder, seen map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	key, _ := token.(string) // the decoder takes nothing else for a key
	folded := foldCase(key)
	if seen[folded] {
		return fmt.Errorf("it has the key %q twice", Clip(key, 64))
	}
	seen[folded] = true
	return nil
}

// foldCase maps all runes that are equal under simple case folding to one.
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
