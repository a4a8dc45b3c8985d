package main

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// runCommand runs a command line that needs no privilege.
func runCommand(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = execute(args, run.Environment{Stdout: &out, Stderr: &errs})
	return status, out.String(), errs.String()
}

// nowhere moves the test to a network namespace without interfaces, so that a
// command line which is not refused attaches to none of this machine's. Where
// that is not allowed, nor is attaching.
func nowhere() {
	runtime.LockOSThread() // and the thread ends with the test
	_ = unix.Unshare(unix.CLONE_NEWNET)
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int{
		"4096": 4096, "65536b": 65536, "64k": 65536, "64K": 65536, "64KiB": 65536, "64kib": 65536,
		"2m": 2 << 20, "2MiB": 2 << 20, "1G": 1 << 30, "1GiB": 1 << 30,
		"": 0, "k": 0, "-4k": 0, "4kb": 0, "4 k": 0, "1.5m": 0, "0x1000": 0, "2G": 0,
		"99999999999999999999": 0, "4294967295g": 0, "4KiBB": 0,
	} {
		got, err := parseSize(s)
		if (err == nil) != (want > 0) || (err == nil && got != want) {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"help"}} {
		status, text, stderr := runCommand(args...)
		if status != exitOK || stderr != "" {
			t.Fatalf("%v: status %d, stderr %q", args, status, stderr)
		}
		root := newCommand(run.Environment{})
		root.Flags().VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden && !strings.Contains(text, "--"+flag.Name) {
				t.Errorf("%v: no --%s", args, flag.Name)
			}
		})
		for _, cmd := range root.Commands() {
			if !cmd.Hidden && !strings.Contains(text, cmd.CommandPath()) {
				t.Errorf("%v: no %s", args, cmd.Name())
			}
		}
		for line := range strings.Lines(text) {
			if len(line) > 101 {
				t.Errorf("%v: line of %d characters: %q", args, len(line), line)
			}
		}
	}
}

// TestMetricsInUse ends before anything is loaded.
func TestMetricsInUse(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := other.Addr().String()
	status, stdout, stderr := runCommand("-i", "nosuch0", "--metrics", address)
	want := "xdplog: metrics: " + address + " is in use by another process: name another address with --metrics\n"
	if status != exitFailure || stdout != "" || stderr != want {
		t.Errorf("status %d, stdout %q, stderr %q, want %q", status, stdout, stderr, want)
	}
}
