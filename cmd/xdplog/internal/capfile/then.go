package capfile

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Then is what is done with each file that is whole: a command gets its name as the last
// argument. No shell is in between. The zero Then is nothing.
type Then struct {
	Command []string
	Output  io.Writer // of the command
}

// atOnce is how many commands run at a time. Others wait.
const atOnce = 4

// then does it. A nil one does nothing.
type then struct {
	Then
	path string
	say  func(string)

	mu      sync.Mutex
	waiting []string       // files
	files   map[string]int // that wait, or with which something is done
	running int
	idle    chan struct{} // closed when nothing runs and somebody waits for that; nil: nobody does
	failed  bool
	over    bool // no more is begun
}

// newThen finds the command, so that one that there isn't is told at the start.
func newThen(o WriterOptions) (*then, error) {
	if len(o.Then.Command) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(o.Then.Command[0])
	if err != nil {
		return nil, fmt.Errorf("find what to do with files: %w", err)
	}
	return &then{Then: o.Then, path: path, say: o.say(), files: make(map[string]int)}, nil
}

// run has the command run with a file, at once or later.
func (t *then) run(name string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, name)
	t.files[name]++
	if t.running < atOnce {
		t.running++
		go t.work()
	}
}

// work runs commands until no file waits.
func (t *then) work() {
	for {
		t.mu.Lock()
		if len(t.waiting) == 0 || t.over {
			t.running--
			if t.running == 0 && t.idle != nil {
				close(t.idle)
				t.idle = nil
			}
			t.mu.Unlock()
			return
		}
		name := t.waiting[0]
		t.waiting = t.waiting[1:]
		t.mu.Unlock()
		if err := t.do(name); err != nil {
			t.fail(name, err)
		}
		t.mu.Lock()
		if t.files[name]--; t.files[name] == 0 {
			delete(t.files, name)
		}
		t.mu.Unlock()
	}
}

// busy reports whether a file is waiting for its command, or that runs.
func (t *then) busy(name string) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.files[name] > 0
}

// do runs the command with a file. It is in a process group of its own: what ends this
// process on a terminal is not meant for it.
func (t *then) do(name string) error {
	cmd := exec.Command(t.path, append(t.Command[1:len(t.Command):len(t.Command)], name)...)
	cmd.Stdout, cmd.Stderr = t.Output, t.Output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // for what it leaves behind, which may hold its output open
	return cmd.Run()
}

// fail says the first failure.
func (t *then) fail(name string, err error) {
	t.mu.Lock()
	first := !t.failed
	t.failed = true
	t.mu.Unlock()
	if first {
		t.say(fmt.Sprintf("%s %s: %v (said once)", strings.Join(t.Command, " "), name, err))
	}
}

// wait returns when no command runs any more, or at a signal. What runs then goes on;
// what has not begun doesn't.
func (t *then) wait(interrupted <-chan os.Signal) {
	if t == nil {
		return
	}
	t.mu.Lock()
	if t.running == 0 {
		t.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	t.idle = idle
	t.mu.Unlock()
	told := time.NewTimer(time.Second)
	defer told.Stop()
	for {
		select {
		case <-idle:
			return
		case <-told.C:
			t.say(fmt.Sprintf("waits until %s has ended; Ctrl-C leaves it behind", t.Command[0]))
		case <-interrupted:
			t.mu.Lock()
			t.over = true
			left := len(t.waiting)
			t.mu.Unlock()
			if left > 0 {
				t.say(fmt.Sprintf("%s was not run with the last %d files", t.Command[0], left))
			}
			return
		}
	}
}
