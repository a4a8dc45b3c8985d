package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
	"github.com/xdplog/xdplog/reader"
)

// newRecording is one to a file, from two interfaces.
func newRecording(t *testing.T, interfaces ...recordedInterface) (*recording, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.pcapng")
	r, err := (&options{write: name, snapLen: 100}).recording(environment{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.begin(interfaces); err != nil {
		t.Fatal(err)
	}
	return r, name
}

var twoInterfaces = []recordedInterface{
	{names.Interface{Index: 7, Name: "eth0"}, 10_000_000_000},
	{names.Interface{Index: 3, Name: "wlan0"}, 0},
}

// packetOf is a packet of so many bytes from an interface.
func packetOf(size, index int) reader.Packet {
	return reader.Packet{Event: reader.Event{Time: eventtest.Time, Length: size, Interface: index}, Data: make([]byte, size)}
}

// options of the blocks of a type, by code.
func optionsOf(t *testing.T, file []byte, kind uint32, fixed int) (all []map[uint16]string) {
	t.Helper()
	order := binary.LittleEndian
	for block := range blocks(file) {
		if n := int(order.Uint32(block[len(block)-4:])); n != len(block) || n%4 != 0 {
			t.Fatalf("a block of %d bytes ends in %d", len(block), n)
		}
		if blockType(block) != kind {
			continue
		}
		found := make(map[uint16]string)
		for rest := block[fixed : len(block)-4]; len(rest) > 0; {
			code, length := order.Uint16(rest), int(order.Uint16(rest[2:]))
			if code == 0 {
				if len(rest) != 4 {
					t.Errorf("%d bytes behind the end of the options", len(rest)-4)
				}
				break
			}
			found[code] = string(rest[4 : 4+length])
			rest = rest[4+(length+3)/4*4:]
		}
		all = append(all, found)
	}
	return all
}

func u64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func TestRecording(t *testing.T) {
	r, name := newRecording(t, twoInterfaces...)
	packets := []reader.Packet{packetOf(60, 7), packetOf(1000, 3), packetOf(61, 7)}
	if n, err := r.write(packets); n != 3 || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	if err := r.end(wire.Counters{Seen: 10, Captured: 3, Lost: 5}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	interfaces := optionsOf(t, file, 1, 16)
	if len(interfaces) != 2 || interfaces[0][2] != "eth0" || interfaces[0][optionSpeed] != u64(10_000_000_000) ||
		interfaces[1][2] != "wlan0" || interfaces[1][optionSpeed] != "" || interfaces[1][9] != "\x09" {
		t.Errorf("interfaces %v", interfaces)
	}
	statistics := optionsOf(t, file, 5, 20)
	if len(statistics) != 2 || statistics[0][optionDelivered] != u64(2) || statistics[1][optionDelivered] != u64(1) {
		t.Fatalf("statistics %v", statistics)
	}
	for _, s := range statistics {
		if s[optionComment] != "5 packets were dropped, on all interfaces together" || s[4] != "" || s[5] != "" {
			t.Errorf("statistics %v, want the total alone", s)
		}
	}
	back, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		data, info, err := back.ReadPacketData()
		if err != nil || len(data) != min(len(p.Data), 100) || info.Length != p.Length || !info.Timestamp.Equal(eventtest.Time) {
			t.Errorf("packet %d: %d bytes, %+v, %v", i, len(data), info, err)
		}
	}
	if _, _, err := back.ReadPacketData(); err != io.EOF {
		t.Errorf("behind the packets: %v", err)
	}
}

func TestRecordingOfOne(t *testing.T) {
	r, name := newRecording(t, twoInterfaces[0])
	if err := r.end(wire.Counters{Seen: 10, Captured: 3, Lost: 5}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := optionsOf(t, file, 5, 20)
	if len(s) != 1 || s[0][4] != u64(10) || s[0][5] != u64(5) || s[0][optionAccepted] != u64(8) || s[0][optionComment] != "" {
		t.Errorf("statistics %v", s)
	}
}

// TestRecordingFails: whole blocks are left, and the packets in them counted.
func TestRecordingFails(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	r, name := newRecording(t, twoInterfaces...)
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const block = 32 + 100
	small := unix.Rlimit{Cur: uint64(len(before) + 2*block + 50), Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	n, err := r.write([]reader.Packet{packetOf(100, 7), packetOf(100, 3), packetOf(100, 7), packetOf(100, 7)})
	if n != 2 || !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), name) {
		t.Errorf("write = %d, %v, want 2 and an error that names %s", n, err, name)
	}
	if err := r.end(wire.Counters{}); err != nil {
		t.Errorf("told twice: %v", err)
	}
	after, err := os.ReadFile(name)
	if err != nil || len(after) != len(before)+2*block {
		t.Errorf("%d bytes are left, %v; want %d", len(after), err, len(before)+2*block)
	}
}

func TestTerminalRefused(t *testing.T) {
	near, _ := termtest.Open(t)
	var errs bytes.Buffer
	status := run([]string{"-i", "lo", "-w", "-"}, environment{stdout: near, stderr: &errs})
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
	status := run([]string{"-i", "lo", "-w", name}, environment{stdout: io.Discard, stderr: &errs, signals: signals})
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
	if err := os.WriteFile(in, pcapOf(t, packets, nanos), 0o600); err != nil {
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
			want := datagram(port)
			if err != nil || !bytes.Equal(data, want[:min(len(want), snapLen)]) || info.Length != len(want) || !info.Timestamp.Equal(recordedAt(port-1000)) {
				t.Fatalf("%s: packet %x, %+v, %v; want that from port %d", c.args, data, info, err, port)
			}
		}
		if _, _, err := back.ReadPacketData(); err != io.EOF {
			t.Errorf("%s: behind the packets: %v", c.args, err)
		}
		file.Close()
	}
}

// TestFileOntoItself is refused before anything is overwritten.
func TestFileOntoItself(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f.pcap")
	before := pcapOf(t, 10, micros)
	if err := os.WriteFile(name, before, 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(name), "link")
	if err := os.Link(name, other); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, args := range []string{"-r " + name + " -w " + other, "-r - -w " + name, "-r " + name + " -w -", "-w " + name + " -o json"} {
		var stderr bytes.Buffer
		status := run(strings.Fields(args), environment{stdin: file, stdout: file, stderr: &stderr})
		if after, _ := os.ReadFile(name); status != exitUsage || !bytes.Equal(before, after) {
			t.Errorf("%s: status %d, %d bytes are left of %d, stderr %q", args, status, len(after), len(before), &stderr)
		}
	}
}
