package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A captureKind is a capture file as it is made for measurements: packets of TCP and
// UDP in turn, of some sizes in turn.
type captureKind struct {
	name   string
	ng     bool
	sizes  []int
	cooked bool // as tcpdump -i any writes them
}

var mixedSizes = []int{64, 1514, 64, 256, 64, 128, 1514, 576}

var captureKinds = []captureKind{
	{name: "64.pcap", sizes: []int{64}},
	{name: "64.pcapng", ng: true, sizes: []int{64}},
	{name: "mixed.pcap", sizes: mixedSizes},
	{name: "mixed.pcapng", ng: true, sizes: mixedSizes},
	{name: "64.cooked.pcap", sizes: []int{64}, cooked: true},
	{name: "mixed.cooked.pcapng", ng: true, sizes: mixedSizes, cooked: true},
}

// write writes a file of so many packets.
func (k captureKind) write(to io.Writer, packets int) error {
	order := binary.LittleEndian
	var frames [][]byte // of each size, of either protocol
	for _, size := range k.sizes {
		payload := gopacket.Payload(make([]byte, size))
		for _, f := range [][]byte{
			frame(ethernet(eth4), ipv4(layers.IPProtocolTCP), syn(40000, 443), payload),
			frame(ethernet(eth4), ipv4(layers.IPProtocolUDP), udp(40000, 53), payload),
		} {
			binary.BigEndian.PutUint16(f[16:], uint16(size-14)) // the IP packet ends where the frame is cut
			frames = append(frames, k.cook(f[:size]))
		}
	}
	w := bufio.NewWriterSize(to, 1<<20)
	var b []byte
	if k.ng {
		b = order.AppendUint32(b, 0x0a0d0d0a)
		for _, n := range []uint32{28, 0x1a2b3c4d, 1, 1<<32 - 1, 1<<32 - 1, 28, 1, 20, k.link(), 0, 20} {
			b = order.AppendUint32(b, n)
		}
	} else {
		for _, n := range []uint32{0xa1b2c3d4, 4<<16 | 2, 0, 0, 65535, k.link()} {
			b = order.AppendUint32(b, n)
		}
	}
	w.Write(b)
	for i := range packets {
		f := frames[i%len(frames)]
		at, length := 1_700_000_000_000_000+uint64(i), uint32(len(f))
		b = b[:0]
		if k.ng {
			whole := 32 + (length+3)&^3
			for _, n := range []uint32{6, whole, 0, uint32(at >> 32), uint32(at), length, length} {
				b = order.AppendUint32(b, n)
			}
			b = append(append(b, f...), make([]byte, -len(f)&3)...)
			b = order.AppendUint32(b, whole)
		} else {
			for _, n := range []uint32{uint32(at / 1e6), uint32(at % 1e6), length, length} {
				b = order.AppendUint32(b, n)
			}
			b = append(b, f...)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

// link is the file's link type.
func (k captureKind) link() uint32 {
	if k.cooked {
		return uint32(layers.LinkTypeLinuxSLL2)
	}
	return uint32(layers.LinkTypeEthernet)
}

// cook is the frame as the file has it.
func (k captureKind) cook(frame []byte) []byte {
	if !k.cooked {
		return frame
	}
	const ethernet = 1
	cooked := append(append([]byte(nil), frame[12:14]...), 0, 0, 0, 0, 0, 2, 0, ethernet, 0, 6)
	return append(append(append(cooked, frame[6:12]...), 0, 0), frame[14:]...)
}

// file writes one into a directory of the test's.
func (k captureKind) file(t testing.TB, packets int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), k.name)
	file, err := os.Create(name)
	if err == nil {
		err = k.write(file, packets)
		file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestReadMemory: a file of any size, or a pipe, takes less than 30 MB.
func TestReadMemory(t *testing.T) {
	watchSources()
	const most = 30 << 20
	packets := 1_500_000
	if testing.Short() {
		packets = 300_000
	}
	kind := captureKinds[0]
	file := kind.file(t, packets)
	for _, args := range [][]string{
		{"-r", file, "--count"},
		{"-r", "-", "--count"},
		{"-r", file, "-o", "json"},
		{"-r", "-", "-w", os.DevNull},
		{"-r", file, "-r", "-", "-w", os.DevNull},
	} {
		cmd := exec.Command(os.Getenv(binaryEnv), args...)
		var errs strings.Builder
		cmd.Stderr = &errs
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer in.Close()
			if strings.Contains(strings.Join(args, " "), "-r -") {
				kind.write(in, packets) // fails where xdplog ends before, which it says
			}
		}()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		peak := 0
		for running := true; running; {
			peak = max(peak, highWater(cmd.Process.Pid))
			select {
			case err = <-ended:
				running = false
			case <-time.After(5 * time.Millisecond):
			}
		}
		if err != nil || peak == 0 || peak > most {
			t.Errorf("%v: %d MiB, %v, stderr\n%s", args, peak>>20, err, errs.String())
		}
		t.Logf("%v: %d MiB", args, peak>>20)
	}
}

// highWater is the most bytes of a process that were resident; 0 once it has ended.
func highWater(pid int) (bytes int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		fmt.Sscan(after, &bytes)
	}
	return bytes << 10
}

// TestReadDirections: a file says of both halves of a connection which way they went, and so
// does who reads it, with either engine.
func TestReadDirections(t *testing.T) {
	lab := newLab(t)
	name := filepath.Join(t.TempDir(), "both.pcapng")
	capture := lab.xdplog(t, "--direction", "inout", "-w", name, "tcp")
	lab.tcp(t, false, 80)
	live := capture.stop(t).lines
	if len(live) < 3 {
		t.Fatalf("a connection has %d packets", len(live))
	}
	slices.Sort(live) // each begins with its time; programs run on both CPUs
	for _, engine := range []string{"go", "kernel"} {
		read := start(t, lab.right, "-r", name, "-o", "json", "--engine", engine).wait(t).lines
		slices.Sort(read)
		if !slices.Equal(read, live) {
			t.Errorf("%s: read\n%s\nwhere the run said\n%s", engine, strings.Join(read, "\n"), strings.Join(live, "\n"))
		}
	}
}

// TestReadVerdicts: --verdict selects of a file what its packets' options say was decided, with
// either engine. What has no verdict is seen, and does not match.
func TestReadVerdicts(t *testing.T) {
	needPrivilege(t)
	le := binary.LittleEndian
	block := func(kind uint32, body ...[]byte) []byte {
		whole := bytes.Join(body, nil)
		length := le.AppendUint32(nil, uint32(len(whole)+12))
		return slices.Concat(le.AppendUint32(nil, kind), length, whole, length)
	}
	words := func(all ...uint32) (b []byte) {
		for _, n := range all {
			b = le.AppendUint32(b, n)
		}
		return b
	}
	file := slices.Concat(block(0x0a0d0d0a, words(0x1a2b3c4d, 1, 1<<32-1, 1<<32-1)), block(1, words(1, 0)))
	for _, action := range []uint32{1, 4, 2, 99, 1, 0} { // of enum xdp_action; 99: nothing is said
		frame := marker()
		frame = append(frame, make([]byte, -len(frame)&3)...)
		var decided []byte
		if action != 99 {
			decided = words(9<<16|7, action<<8|2, 0, 0, 0)
		}
		file = append(file, block(6, words(0, 0, 0, uint32(len(frame)), uint32(len(frame))), frame, decided)...)
	}
	name := filepath.Join(t.TempDir(), "verdicts.pcapng")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	lab := newLab(t)
	for _, engine := range []string{"go", "kernel"} {
		end := start(t, lab.right, "-r", name, "-o", "json", "--engine", engine, "--verdict", "drop,redirect").wait(t)
		got := regexp.MustCompile(`"verdict":"\w+"`).FindAllString(strings.Join(end.lines, "\n"), -1)
		if want := []string{`"verdict":"drop"`, `"verdict":"redirect"`, `"verdict":"drop"`}; !slices.Equal(got, want) || len(end.lines) != len(want) {
			t.Errorf("%s: %q, want %q\n%s", engine, end.lines, want, end.stderr)
		}
		if c := end.counters; c.Seen != 6 || c.Matched != 3 {
			t.Errorf("%s: counters are %+v, want 3 of 6", engine, c)
		}
	}
}
