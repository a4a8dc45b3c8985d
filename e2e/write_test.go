package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// startWrite starts xdplog on right0, which writes to a file of its own.
func (l *lab) startWrite(t testing.TB, args ...string) (*process, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.pcapng")
	return start(t, l.right, append([]string{"-i", right(0), "-w", name}, args...)...).listens(t), name
}

// TestWrite compares frames of all sorts of sizes, byte for byte, with what the
// file holds, by three readers.
func TestWrite(t *testing.T) {
	sizes := []int{576, 1500, 1514, 4096, 8999, 9000, 9014}
	for size := 14; size < 130; size++ {
		sizes = append(sizes, size)
	}
	eachMode(t, func(t *testing.T, mode string) {
		if mode == "native" && !takesFrags(t) {
			lacks(t, nativeJumbo)
			return
		}
		for _, snaplen := range []int{0, 1, 14, 64, 100, 1514} {
			lab := newLabWith(t, labOptions{mtu: 9000})
			before := time.Now()
			capture, name := lab.startWrite(t, "--mode", mode, "--all", "-s", fmt.Sprint(snaplen), "--buffer", "8MiB")
			for _, size := range sizes {
				lab.send(t, ofSize(size))
			}
			lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too
			end := capture.stop(t)
			lab.wantNoProgram(t)
			if len(end.lines) > 0 {
				t.Errorf("-w alone prints %q", end.lines)
			}
			if !strings.Contains(end.stderr, fmt.Sprintf("\n%d packets captured\n", len(sizes)+1)) {
				t.Errorf("stderr lacks %d packets captured:\n%s", len(sizes)+1, end.stderr)
			}

			file := readRecordingFile(t, name)
			if len(file.packets) != len(sizes)+1 || file.cut {
				t.Fatalf("%d packets in the file, want %d; cut: %v", len(file.packets), len(sizes)+1, file.cut)
			}
			for i, size := range sizes {
				want := ofSize(size)
				if snaplen > 0 {
					want = want[:min(size, snaplen)]
				}
				got := file.packets[i]
				if got.length != size || !bytes.Equal(got.data, want) {
					t.Errorf("-s %d: %d bytes of %d\n%x\nwant %d of %d\n%x", snaplen, len(got.data), got.length, got.data, len(want), size, want)
				}
				if got.time.Before(before) || got.time.After(time.Now()) {
					t.Errorf("time %v is not of the run, which began at %v", got.time, before)
				}
			}
			if len(file.interfaces) != 1 || file.interfaces[0].Name != right(0) {
				t.Fatalf("interfaces %+v, want %s", file.interfaces, right(0))
			}
			s := file.interfaces[0].Statistics
			if s.PacketsReceived != uint64(len(sizes)+1) || s.PacketsDropped != 0 || s.StartTime.Before(before) || s.EndTime.Before(s.StartTime) {
				t.Errorf("statistics %+v", s)
			}
			file.wantSame(t, name)
		}
	})
}

// TestWriteDescribes asks capinfos, which comes with tshark, what the file says
// of interfaces.
func TestWriteDescribes(t *testing.T) {
	lab := newLabWith(t, labOptions{pairs: 2})
	capture, name := lab.startWrite(t, "-i", right(1), "udp port 53")
	lab.udp(t, 0, false, 54, 1, 18)
	lab.udp(t, 0, false, 53, 2, 18)
	lab.udp(t, 1, false, 53, 3, 18)
	capture.stop(t)
	lab.wantNoProgram(t)

	file := readRecordingFile(t, name)
	file.wantSame(t, name)
	if len(file.interfaces) != 2 || file.interfaces[0].Name != right(0) || file.interfaces[1].Name != right(1) {
		t.Fatalf("interfaces %+v", file.interfaces)
	}
	var on [2]int
	for _, p := range file.packets {
		on[p.iface]++
	}
	if on != [2]int{2, 3} {
		t.Errorf("%v packets on the interfaces, want 2 and 3", on)
	}
	for i, seen := range []uint64{3, 3} { // each has its own
		if s := file.interfaces[i].Statistics; s.PacketsDropped != 0 || s.PacketsReceived != seen {
			t.Errorf("interface %d: statistics %+v, want %d received, none dropped", i, s, seen)
		}
	}
	if !have(t, "capinfos") {
		return
	}
	about, err := exec.Command("capinfos", name).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"Speed = 10000000000", "Filter string = udp port 53"} { // that of a veth
		if n := strings.Count(string(about), said); n != 2 {
			t.Errorf("%d of the interfaces have %s:\n%s", n, said, about)
		}
	}
}

// TestWriteDrops: what the buffers could not take stands in the file, and what
// they took is there. -o beside -w writes the same events.
func TestWriteDrops(t *testing.T) {
	for _, transport := range []asm.Transport{asm.Perf, asm.Mmap} {
		t.Run(transport.String(), func(t *testing.T) {
			needTransport(t, transport)
			writeDrops(t, transport)
		})
	}
}

func writeDrops(t *testing.T, transport asm.Transport) {
	lab := newLab(t)
	capture, name := lab.startWrite(t, "-o", "json", "--buffer", "4096", "--transport", transport.String())
	lab.burst(t, 20_000, marker())
	lab.udp(t, 0, false, 53, 1, 18)
	end := capture.stop(t)
	lab.wantNoProgram(t)
	c := end.counters
	t.Logf("%+v", c)
	file := readRecordingFile(t, name)
	if n := uint64(len(file.packets)); n != c.Captured || uint64(len(end.lines)) != n || c.Matched != 20_001 || c.Lost == 0 {
		t.Errorf("%d packets, %d lines, counters %+v", n, len(end.lines), c)
	}
	if have(t, "tshark") { // which packets are missing before which, in all but what is behind the last
		output, err := exec.Command("tshark", "-n", "-r", name, "-T", "fields", "-e", "frame.drop_count").Output()
		if err != nil {
			t.Fatal(err)
		}
		var dropped uint64
		for _, field := range strings.Fields(string(output)) {
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			dropped += n
		}
		t.Logf("%d packets were dropped before others, of %d", dropped, c.Lost)
		if dropped == 0 || dropped > c.Lost {
			t.Error("these are not the packets that were dropped")
		}
	}
	if s := file.interfaces[0].Statistics; s.PacketsDropped != c.Lost || s.PacketsReceived != c.Seen {
		t.Errorf("statistics %+v, counters %+v", s, c)
	}
	for _, p := range file.packets[:len(file.packets)-1] {
		if !bytes.Equal(p.data, marker()) {
			t.Fatalf("packet %x, want %x", p.data, marker())
		}
	}
	file.wantSame(t, name)
}

// TestWriteCount: -c is exact in the file, too, and so is the filter.
func TestWriteCount(t *testing.T) {
	lab := newLab(t)
	capture, name := lab.startWrite(t, "-c", "3", "udp", "port", "53")
	lab.udp(t, 0, false, 54, 5, 18)
	lab.udp(t, 0, false, 53, 5, 18)
	if end := capture.wait(t); end.status != 0 {
		t.Errorf("exit status %d", end.status)
	}
	if file := readRecordingFile(t, name); len(file.packets) != 3 || file.cut {
		t.Errorf("%d packets, want 3; cut: %v", len(file.packets), file.cut)
	}
}

// TestWriteTransport takes perf where another one was asked for, and says so.
func TestWriteTransport(t *testing.T) {
	lab := newLab(t)
	capture, name := lab.startWrite(t, "--transport", "ringbuf")
	lab.udp(t, 0, false, 53, 1, 18)
	end := capture.stop(t)
	if file := readRecordingFile(t, name); len(file.packets) != 1 || len(file.packets[0].data) != 60 {
		t.Errorf("packets %v", file.packets)
	}
	if !strings.HasPrefix(end.stderr, "-w takes another transport than ringbuf") {
		t.Errorf("stderr %q", end.stderr)
	}
}

// pipeOut starts xdplog -w - with a pipe for standard output.
func (l *lab) pipeOut(t testing.TB) (*process, *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	cmd := command("-i", right(0), "-w", "-")
	cmd.Stdout = write
	p := launch(t, l.right, cmd).read()
	write.Close()
	return p.listens(t), read
}

// TestWriteLive: each packet goes through a pipe at once.
func TestWriteLive(t *testing.T) {
	lab := newLab(t)
	capture, read := lab.pipeOut(t)
	reader, err := pcapgo.NewNgReader(read, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	read.SetReadDeadline(time.Now().Add(timeout))
	for i := range 5 {
		lab.udp(t, 0, false, 53, 1, 18+i)
		if data, _, err := reader.ReadPacketData(); err != nil || len(data) != 60+i {
			t.Fatalf("packet %d: %d bytes, %v", i, len(data), err)
		}
	}
	capture.signal(t, unix.SIGINT)
	if _, _, err := reader.ReadPacketData(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if end := capture.wait(t); end.status != 0 {
		t.Errorf("exit status %d", end.status)
	}
}

// TestWriteLiveTcpdump is the same to tcpdump, which prints each at once.
func TestWriteLiveTcpdump(t *testing.T) {
	if !have(t, "tcpdump") {
		return
	}
	lab := newLab(t)
	capture, read := lab.pipeOut(t)
	cmd := exec.Command("tcpdump", "-l", "-n", "-r", "-")
	cmd.Stdin = read
	tcpdump := launch(t, lab.right, cmd).read()
	for range 3 {
		lab.udp(t, 0, false, 53, 1, 18)
		if line := tcpdump.line(t); !strings.Contains(line, "IP 192.0.2.1.40000 > 192.0.2.2.53: ") {
			t.Errorf("tcpdump prints %q", line)
		}
	}
	capture.stop(t)
	if end := tcpdump.wait(t); end.status != 0 || len(end.lines) > 0 {
		t.Errorf("tcpdump: status %d, more lines %q", end.status, end.lines)
	}
}

// TestWriteLeftPipe ends quietly when nobody reads a named pipe any more, also
// where nothing comes; and a file needs nobody who reads standard output.
func TestWriteLeftPipe(t *testing.T) {
	lab := newLab(t)
	name := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	capture := start(t, lab.right, "-i", right(0), "-w", name).listens(t)
	read.Close()
	if end := capture.wait(t); end.status != 0 {
		t.Errorf("status %d, stderr %q", end.status, end.stderr)
	}
	lab.wantNoProgram(t)

	name = filepath.Join(t.TempDir(), "w.pcapng")
	output, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command("-i", right(0), "-w", name, "-o", "none")
	cmd.Stdout = write
	capture = launch(t, lab.right, cmd).read().listens(t)
	write.Close()
	output.Close()
	time.Sleep(50 * time.Millisecond) // it would take that for its end
	lab.udp(t, 0, false, 53, 1, 18)
	capture.stop(t)
	if file := readRecordingFile(t, name); len(file.packets) != 1 {
		t.Errorf("%d packets, want 1", len(file.packets))
	}
}

// TestWriteClosedPipe ends with the counters and no error when nobody reads any more.
func TestWriteClosedPipe(t *testing.T) {
	lab := newLab(t)
	capture, read := lab.pipeOut(t)
	read.Close()
	if end := capture.wait(t); end.status != 0 || !matches(`\n0 packets captured\n.*\n0 packets dropped by kernel\n$`, end.stderr) {
		t.Errorf("status %d, stderr %q", end.status, end.stderr)
	}
	lab.wantNoProgram(t)
}

// TestWriteQueue: by which queue a packet came stands in the file where an interface has
// several.
func TestWriteQueue(t *testing.T) {
	const queues, packets = 4, 40
	lab := newLabWith(t, labOptions{queues: queues})
	if err := lab.right.do(func() error { return setQueues(right(0), queues, queues) }); err == unix.EOPNOTSUPP {
		t.Skip("this kernel lacks veths whose number of queues changes")
	}
	if err := lab.left.do(func() error { return setQueues(left(0), queues, queues) }); err != nil {
		t.Fatal(err)
	}
	capture, name := lab.startWrite(t, "udp")
	for i := range packets { // by which of them the addresses and ports decide
		lab.udp(t, 0, false, uint16(1000+i), 1, 18)
	}
	capture.stop(t)
	if !have(t, "tshark") {
		return
	}
	out, err := exec.Command("tshark", "-n", "-r", name, "-T", "fields", "-e", "frame.interface_queue").Output()
	if err != nil {
		t.Fatal(err)
	}
	by, sum := make(map[string]int), 0
	for _, queue := range strings.Fields(string(out)) {
		by[queue]++
	}
	for _, queue := range []string{"0", "1", "2", "3"} {
		sum += by[queue]
	}
	if sum != packets || len(by) < 2 || len(by) > queues {
		t.Errorf("packets by queue: %v", by)
	}
}
