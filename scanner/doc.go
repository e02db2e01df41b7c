// Package scanner finds out what is installed in images and which known
// vulnerabilities that has. It embeds claircore: libindex reads layers,
// libvuln matches what they hold with the CVE feeds; both keep their data in
// SQLite files of their own, cve.db and scan.db, which can be built anew.
//
// Nothing is opened before it is needed. Layers come from the registry's blob
// files; what must be inflated goes to temporary files within bounds. The
// engine uses no network at all: the feeds are brought by their own code.
//
// The engine knows neither projects nor rights, and writes nothing but its own
// files: what it returns goes through the use cases of internal/app.
package scanner
