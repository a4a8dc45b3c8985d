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

func TestUsageErrors(t *testing.T) {
	nowhere()
	for _, c := range []struct{ args, want string }{
		{"help nosuch", `help: no command "nosuch" (xdplog --help lists them)`},
		{"--quiet=x", `invalid argument "x" for "-q, --quiet" flag: must be true or false, or left out`},
		{"-c 0", `invalid argument "0" for "-c, --count" flag: must be a whole number, 1 or more`},
		{"-c -3", `invalid argument "-3" for "-c, --count" flag: must be a whole number, 1 or more`},
		{"-c ten", `invalid argument "ten" for "-c, --count" flag: must be a whole number, 1 or more`},
		{"--duration 0s", `invalid argument "0s" for "--duration" flag: must be a time of 1ms or more, with its unit: 500ms, 10s, 5m, 1h30m`},
		{"--duration -1s", `invalid argument "-1s" for "--duration" flag: must be a time of 1ms or more, with its unit: 500ms, 10s, 5m, 1h30m`},
		{"--stats 10", `invalid argument "10" for "--stats" flag: must be a time of 1ms or more, with its unit: 500ms, 10s, 5m, 1h30m`},
		{"--buffer 4095", `invalid argument "4095" for "--buffer" flag: must be between 4KiB and 1GiB`},
		{"--buffer 2GiB", `invalid argument "2GiB" for "--buffer" flag: must be between 4KiB and 1GiB`},
		{"--buffer much", `invalid argument "much" for "--buffer" flag: must be a number of bytes: 1048576, 512KiB, 4MiB`},
		{"--mode fast", `invalid argument "fast" for "--mode" flag: must be one of auto, native, generic, offload`},
		{"-o xml", `invalid argument "xml" for "-o, --output" flag: must be one of text, json, log, none`},
		{"-i eth0 -i eth0", `invalid argument "eth0" for "-i, --iface" flag: must be given once per interface`},
		{"--iface=", `invalid argument "" for "-i, --iface" flag: must be the name of an interface`},
		{"-s 262145 -w x", `invalid argument "262145" for "-s, --snaplen" flag: must be a number of bytes up to 262144, or 0, which is as much`},
		{"-s 0", `--snaplen is about the packets in a file: it means nothing without -w FILE`},
		{"--write=", `invalid argument "" for "-w, --write" flag: must be the name of a file to write, or - for standard output`},
		{"-w - -o text", `-w - and -o text would both write to standard output: name a file, or leave out -o`},
		{"--netns=", `invalid argument "" for "--netns" flag: must be a name under /run/netns, a path or a process id`},
		{"-i", `flag needs an argument: 'i' in -i`},
		{"--colour", `unknown flag: --colour (xdplog --help lists what there is)`},
		{"demo -x", `unknown shorthand flag: 'x' in -x (xdplog demo --help lists what there is)`},
		{"--transport usb", `invalid argument "usb" for "--transport" flag: must be one of perf, ringbuf, mmap`},
		{"--time soon", `invalid argument "soon" for "--time" flag: must be one of precise, coarse, none`},
		{"--sample 0", `invalid argument "0" for "--sample" flag: must be a whole number from 1 to 2147483648`},
		{"--sample 2147483649", `invalid argument "2147483649" for "--sample" flag: must be a whole number from 1 to 2147483648`},
		{"--sample-random half", `invalid argument "half" for "--sample-random" flag: must be a whole number from 1 to 2147483648`},
		{"--sample 2 --sample-random 2", `--sample and --sample-random exclude each other`},
		{"--read=", `invalid argument "" for "-r, --read" flag: must be the name of a capture file, or - for standard input`},
		{"-r f -i eth0", `--iface is about interfaces: it means nothing with --read`},
		{"-r f --transport mmap", `--transport is about interfaces: it means nothing with --read`},
		{"-r f --buffer 1m", `--buffer is about interfaces: it means nothing with --read`},
		{"-r f --netns web", `--netns is about interfaces: it means nothing with --read`},
		{"-r f --mode native", `--mode is about interfaces: it means nothing with --read`},
		{"-r f --time none", `--time is about interfaces: it means nothing with --read`},
		{"tcp port htpt", `tcp port htpt: unknown port name "htpt", did you mean "http"?`},
		{"tcp -c 3 port htpt -q", `tcp port htpt: unknown port name "htpt", did you mean "http"?`},
		{"-c 3 -- tcp prot 80", `tcp prot 80: unexpected "prot", did you mean "port"?`},
		{"--all tcp port 80", `--all is every frame, so there is nothing to filter: tcp port 80`},
		{"1 == 2", `filter "1 == 2": expression rejects all packets`},
		{"demmo", `demmo: unknown word "demmo"; for a command: xdplog demo`},
		{"detatch -i eth0", `detatch: unknown word "detatch"; for a command: xdplog detach`},
		{"-1 == tpc", `-1 == tpc: unexpected "tpc", did you mean "tcp"?`},
		{"demo now", `xdplog demo takes no argument "now"`},
		{"version 2", `xdplog version takes no argument "2"`},
		{"--color yes", `invalid argument "yes" for "--color" flag: must be one of auto, always, never`},
		{"--time-format tt", `invalid argument "tt" for "--time-format" flag: must be one of time, none, epoch, delta, date, elapsed`},
		{"--time-format epoch -o json", `--time-format is for -o text: -o json has a form of its own`},
		{"--color always -o log", `--color always is for -o text: -o log has no colors`},
		{"demo --color always -o none", `--color always is for -o text: -o none has no colors`},
		{"--metrics eth0", `invalid argument "eth0" for "--metrics" flag: must be a port, which is one of loopback's, or an address and a port: 9100, 192.0.2.1:9100, [::1]:9100, 0.0.0.0:9100`},
		{"-r f.pcap --metrics 9100", `--metrics is about interfaces: it means nothing with --read`},
		{"-d --stats 1s", `--stats is about a run: --dump only prints the program`},
		{"-d -o json", `--output is about a run: --dump only prints the program`},
		{"check -o log", `invalid argument "log" for "-o, --output" flag: must be one of text, json`},
		{"check eth0", `xdplog check takes no argument "eth0"`},
		{"detach", `detach needs -i NAME: the interface to take the program off`},
		{"detach -i a -i b", `invalid argument "b" for "-i, --iface" flag: must be given once`},
		{"completion", `completion needs one shell: bash, zsh, fish`},
		{"completion ksh", `no completion for "ksh": must be one of bash, zsh, fish`},
	} {
		status, stdout, stderr := runCommand(strings.Fields(c.args)...)
		if status != exitUsage || stdout != "" || stderr != "xdplog: "+c.want+"\n" {
			t.Errorf("xdplog %s: status %d, stdout %q, stderr\n%swant\nxdplog: %s", c.args, status, stdout, stderr, c.want)
		}
	}
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
			if !strings.Contains(text, "--"+flag.Name) {
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

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		status, text, stderr := runCommand(args...)
		if status != exitOK || stderr != "" || !strings.HasPrefix(text, "xdplog ") || !strings.Contains(text, "\ngo1.") {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, status, text, stderr)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if status, text, _ := runCommand("completion", shell); status != exitOK || !strings.Contains(text, "xdplog") {
			t.Errorf("%s: status %d, %d bytes", shell, status, len(text))
		}
	}
	for args, want := range map[string]string{
		"-o ":          "json\n",
		"--mode ":      "generic\n",
		"--transport ": "ringbuf\n",
		"--time ":      "coarse\n",
		"-i ":          "lo\n",
		"completion ":  "zsh\n",
		"":             "demo\t",
		"detach --net": "--netns\t",
		"check -o ":    "json\n",
		"check -i ":    "lo\n",
		"--netns ":     ":4\n", // no files
		"--netns /":    ":0\n", // files
	} {
		words := append([]string{"__complete"}, strings.Split(args, " ")...)
		if _, text, _ := runCommand(words...); !strings.Contains(text, want) {
			t.Errorf("completing %q gives %q, want %q in it", args, text, want)
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
