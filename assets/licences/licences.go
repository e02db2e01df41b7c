// Package licences holds the licences of all that is linked into the binary, as
// those who get the binary have to get them, too.
package licences

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:generate go run ./generate

//go:embed licences.json.gz
var embedded []byte

// Work is something that is part of the binary.
type Work struct {
	Path    string `json:"path"` // of a Go module, or a name
	Version string `json:"version"`
	Names   string `json:"names"` // of its licences in SPDX's words
	Texts   []int  `json:"texts"` // which of the texts are its licences and notices
}

// Book is all works and the texts, each of which is there once.
type Book struct {
	Works []Work   `json:"works"`
	Texts []string `json:"texts"`
}

// Read unpacks the book. It is not kept: hardly anybody reads it.
func Read() (b Book, err error) {
	r, err := gzip.NewReader(bytes.NewReader(embedded))
	if err == nil {
		err = json.NewDecoder(r).Decode(&b)
	}
	if err != nil {
		return b, fmt.Errorf("read the licences: %w", err)
	}
	return b, r.Close()
}
