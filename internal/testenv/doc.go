// Package testenv gives tests of other packages real things to talk to: the
// breakwater binary, a docker daemon and its command lines, PostgreSQL, skopeo,
// crane, a browser, the OCI conformance suite and network namespaces. Nothing in it is a
// stand-in, and only tests may import it.
//
// Every helper takes the test, fails it with a message that says what to do,
// and undoes what it did in t.Cleanup:
//
//	func TestPushPull(t *testing.T) {
//		testenv.RequireE2E(t)
//		ns := testenv.NewNetns(t)
//		srv := testenv.StartServer(t, testenv.ServerOptions{Netns: ns})
//		d := testenv.StartDockerd(t, testenv.DockerdOptions{Netns: ns})
//		d.TrustCA(t, srv.Addr, srv.CA)
//		d.ImportImage(t, srv.Addr+"/library/app:1")
//		d.CLI().Login(t, srv.Addr, srv.AdminUser, srv.AdminPassword)
//		d.Docker(t, "push", srv.Addr+"/library/app:1")
//		srv.JSON(t, "GET", "/api/v2.0/projects", srv.AdminUser, srv.AdminPassword, nil, 200, &projects)
//	}
//
// The server and the daemon share one namespace there, because docker treats a
// registry on a loopback address as local and skips TLS for it; the test itself
// stays outside and reaches the server through srv.Client or ns.DialContext.
//
// # What a test needs
//
// RequireE2E marks a test of the end-to-end tier: it is skipped unless
// BREAKWATER_E2E=1, and then a missing tool or missing root fails it. In the
// plain tier the helpers that need a tool (Postgres, Skopeo, Crane) skip the
// test when the tool is missing, except as root on Linux with CI=true, where
// every tool has to be there.
//
// # What outlives a test
//
// Built tools are kept in the user's cache folder (breakwater-test). The binary
// is built at most once per test process, or taken from BREAKWATER_TEST_BINARY.
// One PostgreSQL server per test process is shared by its tests, each with a
// database of its own; it stops, and its files go, when the process ends, even
// by SIGKILL. Daemons started for one test are told to end by the kernel when
// the test process dies without running its cleanups.
package testenv
