// Package auth answers "who are you" without a database: password hashes,
// random secrets, a short memory of verified credentials, login throttling, and
// the bearer tokens and scopes of the distribution token specification. It holds
// no accounts and no rights; internal/app joins it with the store.
package auth
