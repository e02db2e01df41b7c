// Package core holds the words of the product: its domain types, the roles and
// their permission matrix, the limits and the errors. It imports the standard
// library only, and everything else may import it.
package core
