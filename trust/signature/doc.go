// Package signature verifies the signatures that cosign and notation keep in a
// registry as manifests, against what a project trusts. It works offline, on
// bytes that it is given, and reads no more of them than it needs: a signature
// that is larger than usual is refused, not read.
//
// What it takes: cosign's signatures below a .sig tag or as a referrer, made
// with a key or with a short-lived certificate; sigstore bundles; and notation's
// JWS and COSE envelopes. A transparency log entry is verified with the keys of
// the trusted root. No server is asked: certificates are revoked by the lists
// that the project was given.
package signature
