package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// nobody is a user who has some capabilities and no other right.
func nobody(capabilities ...uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: capabilities,
	}
}

// TestCapabilities runs xdplog with the three capabilities that it needs, and
// without each of them, which it then names.
func TestCapabilities(t *testing.T) {
	lab := newLab(t)
	admit(t, func(words ...string) {
		cmd := command("-i", right(0), "--transport", "perf")
		cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		launch(t, lab.right, cmd).read().complains(t, 1, words...)
	})
	works := func(t *testing.T, flag string) {
		t.Helper()
		cmd := command("-i", right(0), "-o", "json", flag)
		cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		capture := launch(t, lab.right, cmd).read().listens(t)
		if said := capture.stderr.String(); lab.tellsTags(t) && strings.Contains(said, "(native XDP") && strings.Contains(said, hidden) {
			t.Errorf("%s: the driver is not asked for tags\n%s", flag, said)
		}
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		capture.stop(t)
		lab.wantNoProgram(t)
	}
	for _, mode := range []string{"auto", "native", "generic"} {
		works(t, "--mode="+mode)
	}
	eachTransport(t, func(t *testing.T, transport asm.Transport) { works(t, "--transport="+transport.String()) })
	for _, c := range []struct {
		has   []uintptr
		names string
	}{
		{[]uintptr{unix.CAP_NET_ADMIN, unix.CAP_PERFMON}, "CAP_BPF"},
		{[]uintptr{unix.CAP_BPF, unix.CAP_PERFMON}, "CAP_NET_ADMIN"},
		{[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN}, "CAP_PERFMON"},
		{nil, "CAP_BPF CAP_NET_ADMIN CAP_PERFMON"},
	} {
		t.Run("without "+c.names, func(t *testing.T) {
			cmd := command("-i", right(0))
			cmd.SysProcAttr = nobody(c.has...)
			launch(t, lab.right, cmd).read().complains(t, 1, strings.Fields(c.names)...)
			lab.wantNoProgram(t)
		})
	}
	t.Run("to take over", func(t *testing.T) {
		if !hasBTF(t) { // by which they find its name
			lab.xdplog(t, "--mode", "native").kill(t)
			cmd := command("-i", right(0), "--mode", "generic") // and does not go elsewhere
			cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
			launch(t, lab.right, cmd).read().complains(t, 1, "can't be read without CAP_SYS_ADMIN", "detach as root")
			if end := launch(t, lab.right, command("detach", "-i", right(0))).read().wait(t); end.status != 0 {
				t.Errorf("detach: exit status is %d, want 0:\n%s", end.status, end.stderr)
			}
			lab.wantNoProgram(t)
			return
		}
		for _, mode := range []string{"native", "generic"} {
			lab.xdplog(t, "--mode", mode).kill(t)
			left := lab.wantProgram(t, mode)
			cmd := command("-i", right(0), "-o", "json", "--mode", "generic")
			cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
			capture := launch(t, lab.right, cmd).read().listens(t)
			if said := capture.stderr.String(); !strings.Contains(said, fmt.Sprintf("from a killed xdplog (program %d)", left.id)) {
				t.Errorf("it does not say that it took over program %d:\n%s", left.id, said)
			}
			lab.wantProgram(t, "generic")
			lab.send(t, marker())
			if e := capture.next(t); !e.isMarker() {
				t.Errorf("event is %v, want the one just sent", e)
			}
			capture.stop(t)
			lab.wantNoProgram(t)

			lab.xdplog(t, "--mode", mode).kill(t)
			lab.wantProgram(t, mode)
			cmd = command("detach", "-i", right(0))
			cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
			if end := launch(t, lab.right, cmd).read().wait(t); end.status != 0 {
				t.Errorf("detach: exit status is %d, want 0:\n%s", end.status, end.stderr)
			}
			lab.wantNoProgram(t)
		}
	})
	t.Run("into a namespace without CAP_SYS_ADMIN", func(t *testing.T) {
		outside, name := lab.elsewhere(t)
		cmd := command("-i", right(0), "--netns", name)
		cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		launch(t, outside, cmd).read().complains(t, 1, "CAP_SYS_ADMIN")
		lab.wantNoProgram(t)
	})
}

// TestRightsGivenUp looks at what xdplog may still do once it listens: on each
// of its threads, take its program off, with transport perf open buffers, and nothing else. That it reads
// counters and detaches in the end shows that this is enough.
func TestRightsGivenUp(t *testing.T) {
	lab := newLab(t)
	admit(t, nil)
	outside, name := lab.elsewhere(t)
	for _, c := range []struct {
		who       string
		attr      *syscall.SysProcAttr
		from      *thread
		transport asm.Transport
		args      []string
	}{
		{"root", nil, lab.right, asm.Perf, nil},
		{"root with ringbuf", nil, lab.right, asm.Ringbuf, nil},
		{"root with mmap", nil, lab.right, asm.Mmap, nil},
		{"nobody", nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON), lab.right, asm.Perf, nil},
		{"root, from another namespace", nil, outside, asm.Perf, []string{"--netns", name}},
	} {
		t.Run(c.who, func(t *testing.T) {
			needTransport(t, c.transport)
			cmd := command(append([]string{"-i", right(0), "-o", "json", "--stats", "20ms", "--transport", c.transport.String()}, c.args...)...)
			cmd.SysProcAttr = c.attr
			capture := launch(t, c.from, cmd).read().listens(t)
			lab.goesOn(t, capture)
			if !capture.stderr.await(`"captured":1`) {
				t.Error("no statistics while it runs")
			}
			var few uint64 = 1 << unix.CAP_NET_ADMIN
			if c.transport == asm.Perf { // CPUs may come
				few |= 1 << unix.CAP_PERFMON
				if c.attr == nil {
					few |= 1 << unix.CAP_IPC_LOCK
				}
			}
			for thread, has := range capture.rights(t) {
				want := rights{permitted: few, effective: few, noNewPrivileges: 1}
				count := rights{permitted: few | 1<<unix.CAP_BPF, effective: few | 1<<unix.CAP_BPF, noNewPrivileges: 1}
				if has != want && has != count { // before Linux 5.19 the counters may take CAP_BPF
					t.Errorf("thread %s has %+v, want %+v", thread, has, want)
				}
			}
			capture.stop(t)
			lab.wantNoProgram(t)
		})
	}
}

// rights are what a thread may do (proc_pid_status(5)).
type rights struct{ inheritable, permitted, effective, ambient, noNewPrivileges uint64 }

// rights returns those of each thread of the process.
func (p *process) rights(t testing.TB) map[string]rights {
	t.Helper()
	all := make(map[string]rights)
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		var r rights
		for key, value := range map[string]*uint64{
			"CapInh": &r.inheritable, "CapPrm": &r.permitted, "CapEff": &r.effective,
			"CapAmb": &r.ambient, "NoNewPrivs": &r.noNewPrivileges,
		} {
			_, rest, _ := strings.Cut(string(status), "\n"+key+":")
			if _, err := fmt.Sscanf(rest, "%x", value); err != nil {
				t.Fatalf("no %s in %s: %v", key, file, err)
			}
		}
		all[file] = r
	}
	if len(all) == 0 {
		t.Fatal("the process has no threads")
	}
	return all
}

// TestSeccomp runs xdplog under seccomp profiles that forbid what it needs: as
// container runtimes do it, with one or the other error.
func TestSeccomp(t *testing.T) {
	lab := newLab(t)
	users := map[string]*syscall.SysProcAttr{
		"root":   nil,
		"nobody": nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON),
	}
	for _, answer := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
		for who, attr := range users {
			t.Run(fmt.Sprint(who, " ", unix.ErrnoName(answer)), func(t *testing.T) {
				for call, words := range map[uint32][]string{
					unix.SYS_BPF:             {"seccomp profile", "allow bpf(2)"},
					unix.SYS_PERF_EVENT_OPEN: {"seccomp profile", "perf_event_open(2)", "ringbuf"},
				} {
					under := lab.threadWith(t, refusing(answer, call))
					cmd := command("-i", right(0), "--transport", "perf")
					cmd.SysProcAttr = attr
					launch(t, under, cmd).read().complains(t, 1, append(words, answer.Error())...)
					lab.wantNoProgram(t)
				}
			})
		}
	}
}

// TestRightsUnderCgo builds xdplog as go install does where there is a C
// compiler: it can't give up its rights on threads that are not Go's, and says so.
func TestRightsUnderCgo(t *testing.T) {
	lab := newLab(t)
	binary := filepath.Join(t.TempDir(), "xdplog")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../cmd/xdplog")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build with cgo, which takes a C compiler: %v\n%s", err, output)
	}
	capture := launch(t, lab.right, exec.Command(binary, "-i", right(0), "-o", "json")).read().listens(t)
	lab.goesOn(t, capture)
	if end := capture.stop(t); !strings.Contains(end.stderr, "goes on with all its rights: this binary was built with cgo") {
		t.Errorf("it does not say that it keeps its rights:\n%s", end.stderr)
	}
	lab.wantNoProgram(t)
}

// TestRightsKept runs where it may not give up its rights: it says so, and is
// as good.
func TestRightsKept(t *testing.T) {
	lab := newLab(t)
	under := lab.threadWith(t, refusing(unix.EPERM, unix.SYS_CAPSET))
	capture := start(t, under, "-i", right(0), "-o", "json").listens(t)
	lab.goesOn(t, capture)
	if end := capture.stop(t); !strings.Contains(end.stderr, "goes on with all its rights") {
		t.Errorf("it does not say that it keeps its rights:\n%s", end.stderr)
	}
	lab.wantNoProgram(t)
}
