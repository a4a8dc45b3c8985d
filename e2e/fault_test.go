package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSuspended stops xdplog, as Ctrl-Z does, floods the interface, and lets it
// continue: what the buffers could not take is lost, and counted exactly.
func TestSuspended(t *testing.T) {
	const packets = 200_000
	for _, flag := range []string{"--mode=generic", "--transport=perf", "--transport=ringbuf", "--transport=mmap"} {
		t.Run(flag, func(t *testing.T) {
			lab := newLab(t)
			capture := lab.xdplog(t, flag)
			lab.goesOn(t, capture)
			for round := range 2 {
				capture.signal(t, unix.SIGSTOP)
				lab.burst(t, packets/2, marker())
				capture.signal(t, unix.SIGCONT)
				if round == 0 {
					capture.next(t) // it goes on
				}
			}
			lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too
			end := capture.stop(t)
			lab.wantNoProgram(t)
			c, printed := end.counters, uint64(len(end.lines))+2
			t.Logf("%+v", c)
			if c.Matched != packets+2 || c.Lost == 0 || c.Captured != printed {
				t.Errorf("%d events came out of %+v, want those captured, and %d matched, some of them lost", printed, c, packets+2)
			}
		})
	}
}

// TestFewDescriptors starts xdplog with more and more file descriptors: until
// there are enough it says what is short, and leaves nothing behind. With fewer
// than a dozen it may be the Go runtime that says it, in its own many words.
func TestFewDescriptors(t *testing.T) {
	lab := newLab(t)
	for limit := 4; limit < 100; limit++ {
		p := launch(t, lab.right, needy(fmt.Sprint("nofile=", limit), "-i", right(0), "-o", "json")).read()
		if p.stderr.await(listening) {
			t.Logf("%d descriptors are enough", limit)
			lab.goesOn(t, p)
			p.stop(t)
			lab.wantNoProgram(t)
			return
		}
		end := p.wait(t)
		if limit >= 12 || !strings.Contains(end.stderr, "fatal error: runtime: ") {
			p.complains(t, 1, "too many open files", "ulimit -n")
		}
		lab.wantNoProgram(t)
	}
	t.Error("100 descriptors are not enough")
}

// TestLittleLockedMemory starts xdplog where it may lock no memory: the perf
// buffers are then as small as every user may have them, and more is refused.
func TestLittleLockedMemory(t *testing.T) {
	lab := newLab(t)
	admit(t, nil)
	run := func(args ...string) *process {
		cmd := needy("memlock=0", append([]string{"-i", right(0), "-o", "json", "--transport", "perf"}, args...)...)
		cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		return launch(t, lab.right, cmd).read()
	}
	p := run()
	if !p.stderr.await(listening) { // a kernel before 5.11, where maps are locked memory
		p.complains(t, 1, "locked memory", "ulimit -l")
		return
	}
	lab.goesOn(t, p)
	p.stop(t)
	run("--buffer", "8MiB").complains(t, 1, "locked memory", "ulimit -l")
	lab.wantNoProgram(t)
}

// TestWithoutProcOrSys starts xdplog where one or both of them are not mounted:
// it says which it misses.
func TestWithoutProcOrSys(t *testing.T) {
	for _, c := range []struct{ has, lacks string }{{"proc", "/sys"}, {"sys", "/proc"}, {"", ""}} {
		lab := newLab(t)
		run := lab.emptyRoot(t, strings.Fields(c.has)...)
		if p := run("-i", right(0), "-o", "json"); p.stderr.await(listening) {
			lab.goesOn(t, p) // an older kernel, of which less is asked
			p.stop(t)
		} else {
			p.complains(t, 1, c.lacks+" is not mounted", "mount it")
		}
		lab.wantNoProgram(t)
	}
}

// emptyRoot returns a function that starts xdplog in the right namespace where
// there is nothing but itself and what is named: no file, no library, no
// environment.
func (l *lab) emptyRoot(t testing.TB, has ...string) (run func(args ...string) *process) {
	t.Helper()
	root := t.TempDir()
	install(t, filepath.Join(root, "xdplog"))
	inside := l.threadWith(t, steps(privateMounts, func() error {
		for _, name := range has {
			dir := filepath.Join(root, name)
			if err := os.Mkdir(dir, 0o555); err != nil {
				return err
			}
			if err := unix.Mount(name, dir, name+map[string]string{"sys": "fs"}[name], 0, ""); err != nil {
				return fmt.Errorf("mount %s: %w", dir, err)
			}
		}
		return nil
	}))
	return func(args ...string) *process {
		cmd := exec.Command("/xdplog", args...)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		return launch(t, inside, cmd).read()
	}
}

// TestDiskFills writes to a file until its file system is full: what was not
// written is counted.
func TestDiskFills(t *testing.T) {
	lab := newLab(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "disk", "events")
	var file *os.File
	inside := lab.threadWith(t, steps(privateMounts, func() error {
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		err := unix.Mount("tmpfs", filepath.Dir(path), "tmpfs", 0, "size=64k")
		if err == nil {
			file, err = os.Create(path)
		}
		return err
	}))
	defer file.Close()
	cmd := command("-i", right(0), "-o", "json")
	cmd.Stdout = file
	capture := launch(t, inside, cmd).read().listens(t)
	lab.burst(t, 2000, marker())
	lab.udp(t, 0, false, 53, 1, 18)
	end := capture.wait(t)
	lab.wantNoProgram(t)

	var written []byte
	err := inside.do(func() (err error) { written, err = os.ReadFile(path); return err })
	if err != nil {
		t.Fatal(err)
	}
	lines := uint64(bytes.Count(written, []byte("\n")))
	if !bytes.HasSuffix(written, []byte("\n")) {
		t.Errorf("the last line is not whole: %q", written[max(0, len(written)-80):])
	}
	words := fmt.Sprintf("no space left on device: %d captured events not written", end.counters.Captured-lines)
	if end.status != 1 || lines == 0 || !strings.Contains(end.stderr, words) {
		t.Errorf("exit status is %d and %d lines were written, want 1, some, and %q on stderr:\n%s", end.status, lines, words, end.stderr)
	}
}

// TestClosedDescriptors starts xdplog without a standard output or error: it
// runs to its end all the same, and writes its events nowhere else.
func TestClosedDescriptors(t *testing.T) {
	for fd := range 3 {
		t.Run(fmt.Sprint("descriptor ", fd), func(t *testing.T) {
			lab := newLab(t)
			capture := launch(t, lab.right, needy(fmt.Sprint("close=", fd), "-i", right(0), "-o", "json")).read()
			lab.awaitProgram(t)
			time.Sleep(20 * time.Millisecond) // it may not have said so yet, and can't
			lab.udp(t, 0, false, 53, 3, 18)
			if fd != 1 {
				capture.want(t, udp4, udp4, udp4)
			}
			end := capture.stop(t)
			lab.wantNoProgram(t)
			if fd != 2 && end.counters.Captured != 3 {
				t.Errorf("counters are %+v, want 3 captured:\n%s", end.counters, end.stderr)
			}
		})
	}
}
