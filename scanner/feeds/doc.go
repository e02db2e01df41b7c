// Package feeds brings CVE data into the scanner's database: it reads the
// sources of the distributions and catalogues with claircore's updaters, and
// writes and reads bundles for registries without internet.
//
// A feed is a set of updaters, its parts, such as one for each release of a
// distribution. Each part becomes one update operation of the database, which
// readers see whole or not at all: whatever goes wrong, the data of the last
// good run stays.
//
// Claircore's own manager is not used: it keeps whole feeds in memory, and it
// only logs what goes wrong while the parts of a feed are looked for.
package feeds
