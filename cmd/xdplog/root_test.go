package main

import (
	"os"
	"testing"
)

// needRoot skips a test that runs the program, which needs root.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("XDPLOG_E2E") == "required" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}
