package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// startRing starts xdplog, which writes files of a name in a directory of its own.
func (l *lab) startRing(t testing.TB, name string, args ...string) (*process, string) {
	t.Helper()
	dir := t.TempDir()
	return start(t, l.right, append([]string{"-i", right(0), "-w", filepath.Join(dir, name)}, args...)...).listens(t), dir
}

// filesIn are the names of what is in a directory, the shorter ones first: as they were made.
func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") { // one that has not begun
			names = append(names, filepath.Join(dir, entry.Name()))
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return len(a) - len(b) })
	return names
}

// readNumbered reads files one after the other, which are whole but for the last one
// where that may be cut, and returns how many packets of a numbered flood are in them:
// each of its number, none twice or out of turn. The statistics are each file's own.
func readNumbered(t testing.TB, files []string, cut bool) (packets, received uint64) {
	t.Helper()
	next := uint64(0)
	for i, name := range files {
		file := readRecordingFile(t, name)
		last := i == len(files)-1
		if file.cut && !(last && cut) {
			t.Errorf("%s is cut", name)
		}
		for _, p := range file.packets {
			if seq := binary.BigEndian.Uint64(p.data[frameSource:]); seq < next {
				t.Fatalf("%s: packet %d comes after packet %d", name, seq, next-1)
			} else {
				next = seq + 1
			}
		}
		packets += uint64(len(file.packets))
		if last && cut {
			continue
		}
		s := file.interfaces[0].Statistics
		accounted := int64(s.PacketsReceived) - int64(s.PacketsDropped) - int64(len(file.packets))
		if accounted < -1 || accounted > 1 { // a packet that the program was just counting
			t.Errorf("%s has %d packets, and statistics %+v", name, len(file.packets), s)
		}
		received += s.PacketsReceived
	}
	return packets, received
}

// TestRingFlood: nothing is lost where one file follows another.
func TestRingFlood(t *testing.T) {
	const frames = 100_000
	lab := newLab(t)
	capture, dir := lab.startRing(t, "out", "-C", "1", "--buffer", "64MiB")
	flood := lab.flood(t, 0, cpus(t)[0], floodFrame(64, layers.EthernetTypeIPv6), each)
	flood.send(t, frames)
	arrived := flood.arrived(t)
	lab.settle()
	end := capture.stop(t)
	lab.wantNoProgram(t)
	if !strings.Contains(end.stderr, fmt.Sprintf("\n%d packets captured\n", arrived)) {
		t.Errorf("stderr lacks %d packets captured:\n%s", arrived, end.stderr)
	}
	files := filesIn(t, dir)
	if len(files) < 10 {
		t.Fatalf("%d files", len(files))
	}
	for i, name := range files {
		want := "out"
		if i > 0 {
			want += strconv.Itoa(i)
		}
		if info, err := os.Stat(name); filepath.Base(name) != want || err != nil || info.Size() > 1_000_000 {
			t.Errorf("file %d is %s of %d bytes", i, name, info.Size())
		}
	}
	if packets, received := readNumbered(t, files, false); packets != arrived || received != arrived {
		t.Errorf("%d packets are in the files, of %d received, want %d", packets, received, arrived)
	}
	if have(t, "tshark") { // numbers go on from file to file
		fields := exec.Command("tshark", "-n", "-r", files[1], "-c", "1", "-T", "fields", "-e", "frame.packet_id", "-e", "frame.interface_name")
		before := readRecordingFile(t, files[0])
		if said, err := fields.CombinedOutput(); err != nil || !strings.Contains(string(said), fmt.Sprintf("%d\t%s\n", len(before.packets), right(0))) {
			t.Errorf("tshark says %q of the first packet of the second file, %v", said, err)
		}
	}
}

// TestRingKilled: whenever xdplog is killed, files that are complete are whole, and the
// last one is readable; those of --total-size are no more than that.
func TestRingKilled(t *testing.T) {
	lab := newLab(t)
	for _, files := range []int{1, 2, 3, 5, 8} {
		capture, dir := lab.startRing(t, "out", "-C", "64KiB", "--total-size", "1MiB", "--attach", "link")
		flood := lab.flood(t, 0, cpus(t)[0], floodFrame(64, layers.EthernetTypeIPv6), each)
		done := make(chan error, 1)
		go func() { done <- flood.trySend(100_000) }()
		await(t, func() bool { return len(filesIn(t, dir)) > files })
		capture.signal(t, unix.SIGKILL)
		capture.exits(t)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		left := filesIn(t, dir)
		slices.SortFunc(left, func(a, b string) int { return numberOf(a) - numberOf(b) })
		packets, _ := readNumbered(t, left, true)
		sum := int64(0)
		for _, name := range left {
			if info, err := os.Stat(name); err == nil {
				sum += info.Size()
			}
		}
		t.Logf("%d packets in %d files of %d bytes, the last is %s", packets, len(left), sum, filepath.Base(left[len(left)-1]))
		if packets == 0 || sum > 1<<20 {
			t.Errorf("%d packets in files of %d bytes in all", packets, sum)
		}
		lab.wantNoProgram(t) // a link goes with its process
	}
}

// numberOf is the number behind a file's name, 0 where there is none.
func numberOf(name string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(filepath.Base(name), "out"))
	return n
}

// TestRingTime: files follow each other also where nothing comes, each is handed to a
// command, here xdplog itself, and -W ends it.
func TestRingTime(t *testing.T) {
	lab := newLab(t)
	capture, dir := lab.startRing(t, "at-%s", "-G", "1", "-W", "2", "-z", os.Getenv(binaryEnv)+" -q -r")
	lab.udp(t, 0, false, 53, 3, 18)
	end := capture.wait(t)
	if n := strings.Count(end.stderr, " udp 192.0.2.1:"); end.status != 0 || n != 3 {
		t.Errorf("status %d, %d packets were printed by the command, want 3; stderr\n%s", end.status, n, end.stderr)
	}
	lab.wantNoProgram(t)
	files := filesIn(t, dir)
	if len(files) != 2 || !matches(`at-\d+$`, files[0]) {
		t.Fatalf("files %q", files)
	}
	for i, want := range []int{3, 0} {
		file := readRecordingFile(t, files[i])
		if s := file.interfaces[0].Statistics; len(file.packets) != want || file.cut || s.PacketsReceived != uint64(want) {
			t.Errorf("%s: %d packets, want %d; statistics %+v", files[i], len(file.packets), want, s)
		}
	}
}

// TestRingCommandFails: that is said once, and nothing is left behind.
func TestRingCommandFails(t *testing.T) {
	lab := newLab(t)
	capture, dir := lab.startRing(t, "out", "-C", "4KiB", "-W", "3", "-z", os.Getenv(binaryEnv)+" --nosuch")
	for range 10 {
		lab.burst(t, 50, marker())
	}
	end := capture.stop(t)
	if n := strings.Count(end.stderr, " --nosuch "+dir); n != 1 || !strings.Contains(end.stderr, ": exit status 2 (said once)\n") {
		t.Errorf("said %d times:\n%s", n, end.stderr)
	}
	if files := filesIn(t, dir); len(files) != 3 || filepath.Base(files[2]) != "out2" {
		t.Errorf("files %q", files)
	}
}

// TestHangup: where somebody has taken the file away, as logrotate does, SIGHUP has it
// made again, and nothing is missing.
func TestHangup(t *testing.T) {
	lab := newLab(t)
	capture, name := lab.startWrite(t)
	lab.udp(t, 0, false, 53, 2, 18)
	capture.signal(t, unix.SIGHUP)
	if !capture.stderr.await("goes on in the same file: nobody has moved " + name + " away\n") {
		t.Errorf("stderr %q", &capture.stderr)
	}
	for i := range 3 {
		if err := os.Rename(name, name+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		lab.udp(t, 0, false, 53, 1, 18) // still into the file that was moved
		capture.signal(t, unix.SIGHUP)
		await(t, func() bool { return strings.Count(capture.stderr.String(), name+" was opened again\n") == i+1 })
		lab.udp(t, 0, false, 53, 1, 18)
	}
	end := capture.stop(t)
	if !strings.Contains(end.stderr, "\n8 packets captured\n") {
		t.Errorf("stderr\n%s", end.stderr)
	}
	all := 0
	for _, name := range []string{name + "0", name + "1", name + "2", name} {
		file := readRecordingFile(t, name)
		if s := file.interfaces[0].Statistics; file.cut || s.PacketsReceived != uint64(len(file.packets)) {
			t.Errorf("%s: %d packets, cut %v, statistics %+v", name, len(file.packets), file.cut, s)
		}
		all += len(file.packets)
	}
	if all != 8 {
		t.Errorf("%d packets are in the files, want 8", all)
	}
}

// TestHangupOfTerminal: where the terminal has gone from which xdplog was started, that
// is its end, and no log rotation.
func TestHangupOfTerminal(t *testing.T) {
	lab := newLab(t)
	near, far := terminal(t)
	name := filepath.Join(t.TempDir(), "out.pcapng")
	cmd := command("-i", right(0), "-w", name)
	cmd.Stdin = near
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	capture := launch(t, lab.right, cmd).read().listens(t)
	lab.udp(t, 0, false, 53, 1, 18)
	near.Close()
	far.Close()
	if end := capture.wait(t); end.status != 0 || !strings.Contains(end.stderr, "\n1 packet captured\n") {
		t.Errorf("status %d, stderr\n%s", end.status, end.stderr)
	}
	lab.wantNoProgram(t)
}

// terminal opens one, and the end that its window has (pty(7)), also where there is no
// /dev/pts.
func terminal(t testing.TB) (near, far *os.File) {
	t.Helper()
	dir := t.TempDir()
	th := newThread(t, steps(privateMounts, func() error { return unix.Mount("devpts", dir, "devpts", 0, "ptmxmode=0666") }))
	err := th.do(func() (err error) {
		far, err = os.OpenFile(filepath.Join(dir, "ptmx"), os.O_RDWR|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if err := unix.IoctlSetPointerInt(int(far.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.IoctlRetInt(int(far.Fd()), unix.TIOCGPTPEER)
	if err != nil {
		t.Fatal(err)
	}
	near = os.NewFile(uintptr(fd), "terminal")
	t.Cleanup(func() { near.Close() })
	return near, far
}

// await returns when something is so.
func await(t testing.TB, so func() bool) {
	t.Helper()
	for end := time.Now().Add(timeout); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not so after %v", timeout)
		}
	}
}

// TestRingOfOthers: root makes the files that follow also where the directory is another
// user's; and user nobody does with three capabilities in a directory of his own, and is
// told at the start where he can't.
func TestRingOfOthers(t *testing.T) {
	lab := newLab(t)
	theirs, ours := t.TempDir(), t.TempDir()
	for dir, owner := range map[string]int{theirs: 65534, ours: 0} {
		for parent := filepath.Dir(dir); parent != "/tmp" && parent != "/"; parent = filepath.Dir(parent) {
			os.Chmod(parent, 0o755)
		}
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	capture := start(t, lab.right, "-i", right(0), "-w", filepath.Join(theirs, "root"), "-C", "4KiB").listens(t)
	lab.burst(t, 200, marker())
	capture.stop(t)
	admit(t, nil)
	cmd := command("-i", right(0), "-w", filepath.Join(theirs, "nobody"), "-C", "4KiB")
	cmd.SysProcAttr = nobody(granted...)
	capture = launch(t, lab.right, cmd).read().listens(t)
	lab.burst(t, 200, marker())
	capture.stop(t)
	if files := filesIn(t, theirs); len(files) < 6 {
		t.Errorf("files %q", files)
	}
	cmd = command("-i", right(0), "-w", filepath.Join(ours, "nobody"), "-C", "4KiB")
	cmd.SysProcAttr = nobody(granted...)
	launch(t, lab.right, cmd).read().complains(t, 1, "permission denied", ours)
}
