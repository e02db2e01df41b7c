// Package store keeps the truth of the registry in a SQL database and holds
// all of its SQL; it has no rules. A caller works inside View or Update with a
// *Tx, whose methods are grouped in one file per noun.
//
// SQL is written in the subset that SQLite and PostgreSQL share; what differs
// is in dialect.go. Times are integer microseconds in UTC.
package store
