package main

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/quay/claircore"
	"github.com/quay/claircore/libvuln/driver"
	"github.com/quay/claircore/libvuln/jsonblob"

	"github.com/breakwater-registry/breakwater/internal/bench/synthetic"
)

// bundleUpdater is one whose data the registry takes.
const bundleUpdater = "rhel-vex"

// bundleLine is a line of what clairctl export-updaters writes. Its own writer
// holds all rows in memory.
type bundleLine struct {
	jsonblob.CommonEntry
	Ref  uuid.UUID
	Vuln *claircore.Vulnerability
	Kind driver.UpdateKind
}

// writeBundle writes a file of clairctl export-updaters, packed with zstd.
func writeBundle(name string, rows int) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	packer, err := zstd.NewWriter(file, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	line := bundleLine{Ref: uuid.New(), Kind: driver.VulnerabilityKind,
		CommonEntry: jsonblob.CommonEntry{Updater: bundleUpdater, Fingerprint: "bench", Date: time.Now().UTC()}}
	lines := json.NewEncoder(packer)
	lines.SetEscapeHTML(false)
	synthetic.Vulnerabilities(bundleUpdater, rows, 0)(func(v *claircore.Vulnerability, _ error) bool {
		line.Vuln = v
		err = lines.Encode(line)
		return err == nil
	})
	return errors.Join(err, packer.Close())
}
