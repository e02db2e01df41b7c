// Package httpx is what every request passes first, whichever part of the
// registry it is for: it gets an id, its client's address, a line in the access
// log and an answer even when its handler panics. It is plain net/http, and
// keeps sendfile working.
package httpx
