// Package e2e holds the tests of the whole path: the built command on real
// namespaces, veths, sockets and raw frames. It has no code of its own.
//
// The tests need root, or what root has in a privileged container, and skip
// where a capability is missing; XDPLOG_E2E=required makes that a failure.
// They build the command themselves with the Go toolchain. Where there is
// none, XDPLOG_E2E_BINARY names a command that is ready, so that the compiled
// test (go test -c) and the command are all that a bare guest needs.
//
// Nothing outlives a run, not even one that is killed: namespaces have no name
// and end with the threads that live in them, and the veths with the
// namespaces.
package e2e
