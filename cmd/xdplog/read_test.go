package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile/capfiletest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// readBytes runs xdplog -r on a file of these bytes.
func readBytes(t testing.TB, file []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f.pcap")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = runCommand(append([]string{"-r", name}, args...)...)
	return status, stdout, strings.ReplaceAll(stderr, name, "f.pcap")
}

const greetingOf = "reading from file f.pcap, link-type EN10MB (Ethernet), snapshot length 65535\n"

// closing is the lines at the end of a run with n events.
func closing(n int) string {
	return string(format.None().New(format.Options{}).AppendCounters(nil, wire.Counters{Captured: uint64(n)}, time.Time{}))
}

func TestReadPcap(t *testing.T) {
	needRoot(t)
	local := capfiletest.At(0).Local().Format("15:04:05.000000")
	want := local + " udp 192.0.2.1:1000 > 192.0.2.2:53 ttl 64 len 42\n"
	for name, file := range map[string][]byte{
		"micro": capfiletest.Pcap(t, 300, capfiletest.Micros), "nano": capfiletest.Pcap(t, 300, capfiletest.Nanos),
		"big-endian": capfiletest.BigEndian(capfiletest.Pcap(t, 300, capfiletest.Micros)), "big-endian nano": capfiletest.BigEndian(capfiletest.Pcap(t, 300, capfiletest.Nanos)),
	} {
		status, stdout, stderr := readBytes(t, file)
		if status != exitOK || stderr != greetingOf+closing(300) || strings.Count(stdout, "\n") != 300 || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: status %d, %d lines, stderr\n%s", name, status, strings.Count(stdout, "\n"), stderr)
		}
		nanoseconds := "000"
		if strings.HasSuffix(name, "nano") {
			nanoseconds = "007"
		}
		_, stdout, _ = readBytes(t, file, "-o", "json", "-c", "1", "-q")
		if !strings.HasPrefix(stdout, `{"timestamp":"2023-11-14T22:13:20.000000`+nanoseconds+`Z","event_type":"packet","pkt_len":42,`) {
			t.Errorf("%s: %s", name, stdout)
		}
	}
}

func TestReadLimits(t *testing.T) {
	needRoot(t)
	file := capfiletest.Pcap(t, 1000, capfiletest.Micros)
	for _, c := range []struct {
		args, first, last string
		lines             int
		closing           string
	}{
		{"-c 3", "1000", "1002", 3, closing(3)},
		{"-c 300 src portrange 1500-1900", "1500", "1799", 300, closing(300)},
		{"--sample 10", "1000", "1990", 100, "100 packets captured\n1000 packets received by filter\n0 packets dropped by kernel\n"},
		{"--sample-random 1 greater 42", "1000", "1999", 1000, closing(1000)},
		{"--all", "1000", "1999", 1000, closing(1000)},
		{"--duration 1h src port 1999", "1999", "1999", 1, closing(1)},
		{"less 41", "", "", 0, closing(0)},
		{"--skip 10", "1010", "1999", 990, closing(1000) + "10 of the captured packets were left out\n"},
		{"--skip 300 -c 400", "1300", "1699", 400, closing(700) + "300 of the captured packets were left out\n"},
		{"--skip 2000 -c 1", "", "", 0, closing(1000) + "1000 of the captured packets were left out\n"},
	} {
		status, stdout, stderr := readBytes(t, file, strings.Fields(c.args)...)
		lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
		if stdout == "" {
			lines = nil
		}
		if status != exitOK || len(lines) != c.lines || stderr != greetingOf+c.closing ||
			len(lines) > 0 && (!strings.Contains(lines[0], ":"+c.first+" >") || !strings.Contains(lines[len(lines)-1], ":"+c.last+" >")) {
			t.Errorf("%s: status %d, %d lines, stderr\n%s", c.args, status, len(lines), stderr)
		}
	}
}

func TestReadCount(t *testing.T) {
	needRoot(t)
	file := capfiletest.Pcap(t, 1000, capfiletest.Micros)
	for args, want := range map[string]string{
		"--count":                               "1000 packets\n",
		"--count src port 1500":                 "1 packet\n",
		"src port 1500 --count -q":              "1 packet\n",
		"--count less 41":                       "0 packets\n",
		"--count -c 300":                        "300 packets\n",
		"--count -c 300 --skip 900":             "100 packets\n",
		"--count --sample 10":                   "100 packets\n",
		"--count --engine kernel src port 1500": "1 packet\n",
	} {
		if status, stdout, stderr := readBytes(t, file, strings.Fields(args)...); status != exitOK || stdout != want {
			t.Errorf("%s: status %d, stdout %q, stderr\n%s", args, status, stdout, stderr)
		}
	}
	if status, stdout, stderr := readBytes(t, file[:len(file)-1], "--count", "-q"); status != exitFailure || stdout != "999 packets\n" ||
		stderr != "xdplog: f.pcap: truncated dump file: it ends in packet 1000\n" {
		t.Errorf("status %d, stdout %q, stderr\n%s", status, stdout, stderr)
	}
}

// TestReadSeveral reads files in the order of time, whatever that of the command line.
func TestReadSeveral(t *testing.T) {
	needRoot(t)
	file := capfiletest.Pcap(t, 1000, capfiletest.Micros)
	packet := (len(file) - 24) / 1000
	header := file[:24:24]
	dir := t.TempDir()
	late, early := filepath.Join(dir, "late.pcap"), filepath.Join(dir, "early.pcap")
	for name, packets := range map[string][]byte{late: file[24+600*packet:], early: file[24 : 24+600*packet]} {
		if err := os.WriteFile(name, append(header, packets...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, want, _ := readBytes(t, file, "-q")
	for _, engine := range run.Engines() {
		status, stdout, stderr := runCommand("-r", late, "-r", early, "-q", "--engine", engine.Name)
		if status != exitOK || stdout != want || stderr != "" {
			t.Errorf("%s: status %d, %d lines, stderr\n%s", engine.Name, status, strings.Count(stdout, "\n"), stderr)
		}
	}
	copied := filepath.Join(dir, "copy.pcapng")
	if status, _, stderr := runCommand("-r", late, "-r", early, "-qw", copied); status != exitOK {
		t.Fatal(stderr)
	}
	if status, stdout, stderr := runCommand("-r", copied, "-q"); status != exitOK || stdout != want {
		t.Errorf("the copy: status %d, %d lines, stderr\n%s", status, strings.Count(stdout, "\n"), stderr)
	}
	if status, _, stderr := runCommand("-r", late, "-r", early, "-w", early); status != exitUsage || !strings.HasSuffix(stderr, "is the file that is read: name another one to write\n") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// TestReadNg reads a file of two interfaces, one of which has no name, and one
// a name that would break a line.
func TestReadNg(t *testing.T) {
	section := func(names ...string) []byte {
		var b bytes.Buffer
		w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: names[0], LinkType: layers.LinkTypeEthernet, TimestampResolution: 9, SnapLength: 65535}, pcapgo.DefaultNgWriterOptions)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names[1:] {
			if _, err := w.AddInterface(pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range names {
			about := capfiletest.Info(i, capfiletest.Datagram(i))
			about.InterfaceIndex = i
			if err := w.WritePacket(about, capfiletest.Datagram(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	file := append(section("eth0", ""), section("a b\n", "eth1")...)
	status, stdout, stderr := readBytes(t, file)
	if status != exitOK || stderr != greetingOf+closing(4) {
		t.Fatalf("status %d, stderr\n%s", status, stderr)
	}
	for i, want := range []string{" eth0 udp ", "01 udp ", " a_b_ udp ", " eth1 udp "} {
		if line := strings.Split(stdout, "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("line %d is %q, want %q in it", i, line, want)
		}
	}
	_, stdout, _ = readBytes(t, file, "-o", "json")
	for i, want := range []string{`.000000007Z","event_type":"packet","in_iface":"eth0","pkt_len"`, `"event_type":"packet","pkt_len"`, `"in_iface":"a b\u000a"`, `.000001007Z","event_type":"packet","in_iface":"eth1"`} {
		if line := strings.Split(stdout, "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("line %d is %q, want %q in it", i, line, want)
		}
	}
}

func TestReadBroken(t *testing.T) {
	file := capfiletest.Pcap(t, 20, capfiletest.Micros)
	packet := (len(file) - 24) / 20
	huge := bytes.Clone(file)
	binary.LittleEndian.PutUint32(huge[24+10*packet+8:], 1<<31)
	wifi := bytes.Clone(file)
	wifi[20] = byte(layers.LinkTypeIEEE802_11)
	for _, c := range []struct {
		name  string
		file  []byte
		lines int // -1: refused at once
		want  string
	}{
		{"cut in the header", file[:10], -1, "f.pcap: truncated dump file: it ends in its header"},
		{"one byte", file[:1], -1, "f.pcap: truncated dump file: it ends in its header"},
		{"gzip that is cut", []byte{0x1f, 0x8b, 8, 0}, -1, "f.pcap: truncated dump file: it ends in its header"},
		{"lzip", []byte("LZIP"), -1, "f.pcap is compressed: take lzip -dc FILE | xdplog -r -"},
		{"Wi-Fi", wifi, -1, "f.pcap: link type IEEE802_11 (105) is not read: Ethernet, Linux cooked, raw IP and loopback are"},
		{"cut in a packet's header", file[:24+10*packet+7], 10, "f.pcap: truncated dump file: it ends in packet 11"},
		{"cut behind a packet's header", file[:24+10*packet+16], 10, "f.pcap: truncated dump file: it ends in packet 11"},
		{"cut in a packet", file[:len(file)-1], 19, "f.pcap: truncated dump file: it ends in packet 20"},
		{"broken", huge, 10, fmt.Sprintf("f.pcap: broken at packet 11, byte %d: 2147483648 bytes captured of a packet, which is more than 262144", 24+10*packet)},
		{"header alone", file[:24], 0, ""},
	} {
		wantErr, wantStatus := "", exitOK
		if c.lines >= 0 {
			wantErr = greetingOf + closing(c.lines)
		}
		if c.want != "" {
			wantErr, wantStatus = wantErr+"xdplog: "+c.want+"\n", exitFailure
		}
		status, stdout, stderr := readBytes(t, c.file)
		if status != wantStatus || strings.Count(stdout, "\n") != max(c.lines, 0) || stderr != wantErr {
			t.Errorf("%s: status %d, %d lines, stderr\n%swant\n%s", c.name, status, strings.Count(stdout, "\n"), stderr, wantErr)
		}
	}
}

// TestReadStdin writes a capture into a pipe: each packet is shown as it comes,
// and a signal ends the wait for more.
func TestReadStdin(t *testing.T) {
	file := capfiletest.Pcap(t, 2, capfiletest.Micros)
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer feed.Close()
	shown, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	signals := make(chan os.Signal, 1)
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		defer stdout.Close()
		ended <- execute([]string{"-r", "-"}, run.Environment{Stdin: stdin, Stdout: stdout, Stderr: &errs, Signals: signals})
	}()
	packet := (len(file) - 24) / 2
	feed.Write(file[:24+packet+5]) // and a part of the second
	line := make([]byte, 200)
	shown.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := shown.Read(line); err != nil || !strings.Contains(string(line[:n]), ":1000 > ") {
		t.Errorf("%q, %v, want the first packet before the second is there", line[:n], err)
	}
	signals <- syscall.SIGINT
	if status := <-ended; status != exitOK {
		t.Errorf("status %d, stderr\n%s", status, errs.String())
	}
	want := strings.ReplaceAll(greetingOf, "f.pcap", "standard input") + closing(1)
	if errs.String() != want {
		t.Errorf("stderr\n%swant\n%s", errs.String(), want)
	}
}

// TestReadInterruptedEarly signals while a named pipe has nobody at its other end.
func TestReadInterruptedEarly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	signals := make(chan os.Signal, 1)
	time.AfterFunc(20*time.Millisecond, func() { signals <- syscall.SIGINT })
	var errs bytes.Buffer
	if status := execute([]string{"-r", name}, run.Environment{Stderr: &errs, Signals: signals}); status != exitOK || errs.Len() > 0 {
		t.Errorf("status %d, stderr %q", status, errs.String())
	}
}

func BenchmarkReadFile(b *testing.B) {
	needRoot(b)
	const packets = 1_000_000
	file := filepath.Join(b.TempDir(), "million.pcap")
	if err := os.WriteFile(file, capfiletest.Pcap(b, packets, capfiletest.Micros), 0o600); err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for _, output := range format.Names() {
		b.Run(output, func(b *testing.B) {
			for b.Loop() {
				var errs bytes.Buffer
				if status := execute([]string{"-r", file, "-o", output}, run.Environment{Stdout: null, Stderr: &errs}); status != exitOK ||
					!strings.Contains(errs.String(), fmt.Sprint(packets)) {
					b.Fatalf("status %d, stderr %s", status, errs.String())
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/million")
		})
	}
}
