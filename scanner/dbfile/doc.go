// Package dbfile opens the SQLite files that the scanner can build anew: cve.db
// and scan.db. Both may be lost without losing the truth, so they are less
// careful than breakwater.db (synchronous=NORMAL: a power cut may take the last
// commits, never the file's consistency), and a damaged file is moved aside.
//
// A file has one writer, which callers take in turn, and a few readers that
// never wait for it. Statements are prepared once per connection.
package dbfile
