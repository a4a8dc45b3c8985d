package main

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
)

func TestTerminalRefused(t *testing.T) {
	near, _ := termtest.Open(t)
	var errs bytes.Buffer
	status := execute([]string{"-i", "lo", "-w", "-"}, run.Environment{Stdout: near, Stderr: &errs})
	want := "xdplog: -w - would write binary data to the terminal: redirect it or name a file\n"
	if status != exitUsage || errs.String() != want {
		t.Errorf("status %d, stderr %q, want %d, %q", status, errs.String(), exitUsage, want)
	}
}

// TestPipeNobodyReads: a named pipe waits for its reader, until a signal.
func TestPipeNobodyReads(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	time.AfterFunc(20*time.Millisecond, func() { signals <- os.Interrupt })
	var errs bytes.Buffer
	status := execute([]string{"-i", "lo", "-w", name}, run.Environment{Stdout: io.Discard, Stderr: &errs, Signals: signals})
	if status != exitFailure || !strings.HasPrefix(errs.String(), "xdplog: interrupted before anybody read") {
		t.Errorf("status %d, stderr %q", status, errs.String())
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0) // lets go who still waits
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

// TestFilterFile: -r and -w together take packets from one file to another.
func TestFilterFile(t *testing.T) {
	needRoot(t)
	const packets = 2000
	in, out := filepath.Join(t.TempDir(), "in.pcap"), filepath.Join(t.TempDir(), "out.pcapng")
	if err := os.WriteFile(in, capfiletest.Pcap(t, packets, capfiletest.Nanos), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args        string
		first, last int // ports
	}{
		{"udp", 1000, 1000 + packets - 1},
		{"src portrange 1500-2100", 1500, 2100},
		{"-c 300 src portrange 1500-2100", 1500, 1799},
		{"-s 20 udp", 1000, 1000 + packets - 1},
		{"-o json udp", 1000, 1000 + packets - 1},
		{"tcp", 1000, 999},
	} {
		status, stdout, stderr := runCommand(append([]string{"-r", in, "-w", out}, strings.Fields(c.args)...)...)
		if status != exitOK || strings.Count(stdout, "\n") != map[bool]int{true: packets}[strings.Contains(c.args, "json")] {
			t.Errorf("%s: status %d, %d lines, stderr\n%s", c.args, status, strings.Count(stdout, "\n"), stderr)
		}
		file, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		snapLen := math.MaxInt
		if strings.Contains(c.args, "-s 20") {
			snapLen = 20
		}
		for port := c.first; port <= c.last; port++ {
			data, info, err := back.ReadPacketData()
			want := capfiletest.Datagram(port)
			if err != nil || !bytes.Equal(data, want[:min(len(want), snapLen)]) || info.Length != len(want) || !info.Timestamp.Equal(capfiletest.At(port-1000)) {
				t.Fatalf("%s: packet %x, %+v, %v; want that from port %d", c.args, data, info, err, port)
			}
		}
		if _, _, err := back.ReadPacketData(); err != io.EOF {
			t.Errorf("%s: behind the packets: %v", c.args, err)
		}
		file.Close()
	}
}

// TestFileOntoItself is refused before anything is overwritten, also where the file
// is standard input or output.
func TestFileOntoItself(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f.pcap")
	before := capfiletest.Pcap(t, 10, capfiletest.Micros)
	if err := os.WriteFile(name, before, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, args := range []string{"-r - -w " + name, "-r " + name + " -w -", "-w " + name + " -o json"} {
		var stderr bytes.Buffer
		status := execute(strings.Fields(args), run.Environment{Stdin: file, Stdout: file, Stderr: &stderr})
		if after, _ := os.ReadFile(name); status != exitUsage || !bytes.Equal(before, after) {
			t.Errorf("%s: status %d, %d bytes are left of %d, stderr %q", args, status, len(after), len(before), &stderr)
		}
	}
}
