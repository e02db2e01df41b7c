package feeds

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"
)

// A bundle carries feeds to registries without internet. It is a tar archive in
// zstd with these files, in this order:
//
//	breakwater-feeds.json           what it is, see header
//	repository-to-cpe.json          Red Hat's mapping files, where they are part of it
//	container-name-repos-map.json
//	records/000001.jsonl ...        the records, a line each, as clairctl writes them
//	manifest.json                   size and SHA-256 of the files before, and the parts
//
// The lines of a part follow one another. A file of clairctl export-updaters is
// such lines alone, plain or packed with gzip or zstd.
const (
	headerName    = "breakwater-feeds.json"
	manifestName  = "manifest.json"
	recordsFolder = "records/"

	bundleFormat = "breakwater-feeds"
	// bundleSchema grows when an older registry cannot read what is written.
	bundleSchema = 1
)

// header begins a bundle.
type header struct {
	Format  string    `json:"format"`
	Schema  int       `json:"schema"`
	Created time.Time `json:"created"`
	Product string    `json:"product"`
	Feeds   []string  `json:"feeds"`
}

// manifest ends a bundle.
type manifest struct {
	Files  []bundleFile `json:"files"`
	Parts  []bundlePart `json:"parts"`
	Failed []failedPart `json:"failed,omitempty"`
}

type bundleFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type bundlePart struct {
	Feed    string            `json:"feed"`
	Name    string            `json:"name"`
	Kind    driver.UpdateKind `json:"kind"`
	Ref     uuid.UUID         `json:"ref"`
	Records int64             `json:"records"`
}

// failedPart is what could not be read on the machine that exported. Without a
// name it is the whole feed.
type failedPart struct {
	Feed  string `json:"feed"`
	Name  string `json:"name,omitempty"`
	Error string `json:"error"`
}

// line is one record in claircore's format (libvuln/jsonblob).
type line struct {
	Updater     string
	Fingerprint driver.Fingerprint
	Date        time.Time
	Ref         uuid.UUID
	Vuln        *claircore.Vulnerability `json:",omitempty"`
	Enrichment  *driver.EnrichmentRecord `json:",omitempty"`
	Kind        driver.UpdateKind
}

// lineHead is what says to which part a line belongs.
type lineHead struct {
	Updater    string
	Ref        uuid.UUID
	Kind       driver.UpdateKind
	Vuln       json.RawMessage
	Enrichment json.RawMessage
}

// maxLine bounds a line, in bytes.
const maxLine = 16 << 20

// feedOf returns the feed that a part is of, "" when it is of none.
func feedOf(part string) string {
	for _, known := range []struct{ prefix, feed string }{
		{"alpine-", "alpine"}, {"aws-", "amazon"}, {"debian/", "debian"}, {"clair.cvss", "nvd"}, {"clair.epss", "epss"}, {"clair.kev", "kev"},
		{"oracle-", "oracle"}, {"osv/", "osv"}, {"photon-", "photon"}, {"rhel-", "redhat"}, {"suse-", "suse"}, {"ubuntu/", "ubuntu"},
	} {
		if strings.HasPrefix(part, known.prefix) {
			return known.feed
		}
	}
	return ""
}
