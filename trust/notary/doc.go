// Package notary is the server of Notary v1 (docker content trust), at
// /v2/GUN/_trust/tuf/ of the registry's own port. What clients sign is metadata
// of The Update Framework; the registry signs the timestamp and, unless a client
// keeps that key, the snapshot.
//
// An update is judged in three steps (judge.go, chain.go): its form, its place
// after what is there (versions, and a new root signed by the old one), and the
// whole that it would make, read as a client reads it. Only what a client would
// accept is published, in one transaction with the audit row and the facts of
// which tag is signed for which digest (facts.go).
package notary
