package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listening stands in the line by which xdplog says that it has begun.
const listening = "listening on"

// A process is a running xdplog.
type process struct {
	cmd    *exec.Cmd
	stdout *os.File // the reading end
	lines  chan string
	stderr transcript
	exited chan struct{} // closed when it has ended and everything has been read
}

// A transcript is what a process has said so far.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // one token: there is more than before; closed at the end
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

func (tr *transcript) read(from *os.File) {
	defer from.Close()
	defer close(tr.more)
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		tr.mu.Lock()
		tr.text.Write(buffer[:n])
		tr.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case tr.more <- struct{}{}:
		default:
		}
	}
}

// await returns true when the transcript contains what, false when it has
// ended without it or time is up.
func (tr *transcript) await(what string) bool {
	deadline := time.After(timeout)
	for open := true; ; {
		if strings.Contains(tr.String(), what) {
			return true
		}
		if !open {
			return false
		}
		select {
		case _, open = <-tr.more:
		case <-deadline:
			return false
		}
	}
}

// xdplog starts xdplog in the right namespace, on right0 with -o json and more
// arguments, and returns when it has said that it listens.
func (l *lab) xdplog(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, l.right, append([]string{"-i", right(0), "-o", "json"}, args...)...).listens(t)
}

// start starts xdplog as a child of a thread. It is killed with the test.
func start(t testing.TB, th *thread, args ...string) *process {
	t.Helper()
	return launch(t, th, command(args...)).read()
}

// command is an xdplog that is yet to be started.
func command(args ...string) *exec.Cmd {
	return exec.Command(os.Getenv(binaryEnv), args...)
}

// read begins to read the standard output.
func (p *process) read() *process {
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(p.stdout); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	return p
}

// launch starts a command as a child of a thread, and leaves its standard
// output unread. It may have one of its own.
func launch(t testing.TB, th *thread, cmd *exec.Cmd) *process {
	t.Helper()
	stdout, stdoutEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, stderrEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Stdout == nil {
		cmd.Stdout = stdoutEnd
	}
	cmd.Stderr = stderrEnd
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL // also when the tests are killed
	err = th.do(cmd.Start)
	stdoutEnd.Close()
	stderrEnd.Close()
	if err != nil {
		t.Fatalf("start xdplog: %v", err)
	}
	p := &process{
		cmd:    cmd,
		stdout: stdout,
		lines:  make(chan string, 1<<18), // the process never waits for its test
		stderr: transcript{more: make(chan struct{}, 1)},
		exited: make(chan struct{}),
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.stderr.read(stderr) })
	go func() {
		defer close(p.exited)
		cmd.Wait() // its verdict is in cmd.ProcessState
		reading.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.exited
		stdout.Close()
		if t.Failed() && cmd.ProcessState.ExitCode() != 0 {
			t.Logf("xdplog %s said:\n%s", strings.Join(cmd.Args[1:], " "), &p.stderr)
		}
	})
	return p
}

// listens returns when the process has said that it listens.
func (p *process) listens(t testing.TB) *process {
	t.Helper()
	if !p.stderr.await(listening) {
		t.Fatalf("xdplog %s does not listen", strings.Join(p.cmd.Args[1:], " "))
	}
	return p
}

// line returns the next line of standard output.
func (p *process) line(t testing.TB) string {
	t.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			t.Fatal("standard output has ended, want one more line")
		}
		return line
	case <-time.After(timeout):
		t.Fatalf("no further line on standard output within %v", timeout)
	}
	panic("unreachable")
}

// next returns the next event.
func (p *process) next(t testing.TB) event {
	t.Helper()
	return parseEvent(t, p.line(t))
}

// untilMarker returns the events before the next marker.
func (p *process) untilMarker(t testing.TB) []event {
	t.Helper()
	var events []event
	for {
		e := p.next(t)
		if e.isMarker() {
			return events
		}
		events = append(events, e)
	}
}

// A result is how a process ended.
type result struct {
	status   int      // exit status; -1 when a signal killed it
	lines    []string // the rest of standard output
	stderr   string
	counters counters // the last ones on stderr, under -o json
}

// signal sends a signal.
func (p *process) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("send %v: %v", signal, err)
	}
}

// exits returns when the process has ended.
func (p *process) exits(t testing.TB) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(timeout):
		t.Fatalf("xdplog %s does not end", strings.Join(p.cmd.Args[1:], " "))
	}
}

// wait returns how the process ended, when it has and all is read.
func (p *process) wait(t testing.TB) result {
	t.Helper()
	p.exits(t)
	r := result{status: p.cmd.ProcessState.ExitCode(), stderr: p.stderr.String()}
	for line := range p.lines {
		r.lines = append(r.lines, line)
	}
	all, err := parseCounters(r.stderr)
	if err != nil {
		t.Error(err)
	}
	if len(all) > 0 {
		r.counters = all[len(all)-1]
	}
	return r
}

// stop interrupts the process as Ctrl-C does, and fails the test unless it
// ends well.
func (p *process) stop(t testing.TB) result {
	t.Helper()
	p.signal(t, unix.SIGINT)
	r := p.wait(t)
	if r.status != 0 {
		t.Errorf("exit status is %d after SIGINT, want 0", r.status)
	}
	return r
}

// kill ends the process as the kernel does when memory is short.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, unix.SIGKILL)
	p.wait(t)
}

// complain runs xdplog to its end and fails the test unless it ends with the
// status and one line on stderr that contains all of the words.
func complain(t testing.TB, th *thread, status int, words []string, args ...string) {
	t.Helper()
	start(t, th, args...).complains(t, status, words...)
}

func (p *process) complains(t testing.TB, status int, words ...string) {
	t.Helper()
	r := p.wait(t)
	name := filepath.Base(p.cmd.Path) + " " + strings.Join(p.cmd.Args[1:], " ")
	if r.status != status {
		t.Errorf("%s: exit status is %d, want %d", name, r.status, status)
	}
	if len(r.lines) > 0 {
		t.Errorf("%s: standard output is %q, want none", name, r.lines)
	}
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasSuffix(r.stderr, "\n") {
		t.Errorf("%s: want one line on stderr, got:\n%s", name, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("%s: stderr lacks %q:\n%s", name, word, r.stderr)
		}
	}
}
