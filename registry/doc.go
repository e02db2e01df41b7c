// Package registry serves the OCI distribution API 1.1 under /v2/ and the token
// service of docker clients. It is a plain http.Handler, so that blobs reach
// the socket by sendfile.
//
// Handlers read and write bytes through registry/blobs and leave every decision
// and every row to internal/app. What they answer with is in the words of the
// distribution specification (errors.go).
package registry
