// Package blobs keeps blob bytes as content-addressed files, one per blob in
// the whole system, and the upload sessions that become blobs.
//
// Below the root lie
//
//	blobs/<algorithm>/<first 2 hex digits>/<hex>.<generation>
//	uploads/<uuid>.<first 32 hex digits of sha256(scope)>
//	uploads/put.<uuid>
//	quarantine/<algorithm>.<hex>.<generation>
//
// The generation comes from the database: whoever writes a blob again after it
// was collected takes the next number, so the path of a removed file is never
// used for another one. The first blob of an algorithm makes all its directories,
// therefore every later one costs one fsync of its file and one of its directory.
//
// Reading goes through distribution's filesystem storage driver. Its writer is
// not used: it syncs at every Close and its Move leaves the new name volatile.
// Writing goes through FileLayer, which tests replace to make the disk fail.
package blobs
