package loader

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// jobVariable makes the test binary do a job in place of the tests.
const jobVariable = "XDPLOG_LOADER_JOB"

func TestMain(m *testing.M) {
	if job := os.Getenv(jobVariable); job != "" {
		os.Exit(doJob(strings.Split(job, " ")))
	}
	os.Exit(m.Run())
}

// doJob attaches (interface, mode, namespace and method are its arguments), says what
// came of it in one line, and stays until its standard input ends.
func doJob(args []string) int {
	if args[0] == "squat" {
		return squat(args[1])
	}
	mode, _ := ParseMode(args[1])
	coll, err := Load(asm.Config{})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	opts := Options{Interface: args[0], Mode: mode, Namespace: args[2]}
	if len(args) > 3 {
		opts.Method, _ = ParseMethod(args[3])
	}
	a, err := Attach(coll, opts)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("attached", a.id, a.Mode())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := a.Close(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// squat binds the claims to an interface as a user without rights, says so, and
// stays until its standard input ends. It listens, and answers nobody.
func squat(index string) int {
	i, err := strconv.Atoi(index)
	if err == nil {
		err = unix.Setresuid(65534, 65534, 65534)
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	for _, at := range []asm.Place{asm.XDP, asm.TCIngress, asm.TCEgress} {
		if _, err := net.ListenUnix("unix", claimName(i, at, 0)); err != nil {
			fmt.Println("error:", err)
			return 1
		}
	}
	fmt.Println("bound")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// process is a job that was started.
type process struct {
	*exec.Cmd
	said string // its first line
	in   io.WriteCloser
}

// start starts a job, without the given capabilities and in a namespace.
func start(t *testing.T, ns *namespace, without []capability, job ...string) *process {
	t.Helper()
	return startAs(t, nil, ns, without, job...)
}

// nobody is a user with the three capabilities that a run needs.
var nobody = &syscall.SysProcAttr{
	Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
	AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON},
}

// startAs is start as another user, nil for the own.
func startAs(t *testing.T, user *syscall.SysProcAttr, ns *namespace, without []capability, job ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("/proc/self/exe")} // which any user may run
	p.SysProcAttr = user
	p.Env = append(os.Environ(), jobVariable+"="+strings.Join(job, " "))
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	must(t, err)
	p.in, err = p.StdinPipe()
	must(t, err)

	// A child has the bounding set and the namespace of the thread that forks.
	// That thread is locked once more than unlocked, so it ends with its
	// goroutine: a bounding set can't be had back.
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		work := func() error {
			for _, c := range without {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
					return err
				}
			}
			return p.Start()
		}
		if ns.file == nil {
			failed <- work()
			return
		}
		failed <- ns.enter(work)
	}()
	must(t, <-failed)
	t.Cleanup(func() { p.kill() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	p.said = strings.TrimSpace(line)
	return p
}

// kill ends the process as kill -9 does, and waits for it.
func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// lab is a network namespace with a veth pair, v0 and v1, both up.
type lab struct {
	name   string
	handle *netlink.Handle
	conn   *conn
}

var labs atomic.Int32

func newLab(t testing.TB) *lab {
	t.Helper()
	privileged(t)
	l := &lab{name: newNamespace(t)}
	l.open(t)
	must(t, l.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
	for _, name := range []string{"v0", "v1"} {
		must(t, l.handle.LinkSetUp(l.link(t, name)))
	}
	return l
}

func (l *lab) open(t testing.TB) {
	ns := l.namespace(t)
	var err error
	l.handle, err = netlink.NewHandleAt(netns.NsHandle(ns.file.Fd()), unix.NETLINK_ROUTE)
	must(t, err)
	t.Cleanup(l.handle.Close)
	must(t, ns.do(func() (err error) { l.conn, err = dial(); return err }))
	t.Cleanup(l.conn.close)
}

// newNamespace makes a named network namespace that goes with the test.
func newNamespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("xdplog-loader-%d-%d", os.Getpid(), labs.Add(1))
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		own, err := netns.Get()
		if err != nil {
			made <- err
			return
		}
		defer own.Close()
		ns, err := netns.NewNamed(name)
		if err == nil {
			ns.Close()
			err = netns.Set(own) // the first thread of the process doesn't end
		}
		made <- err
	}()
	must(t, <-made)
	t.Cleanup(func() { _ = netns.DeleteNamed(name) })
	return name
}

func (l *lab) namespace(t testing.TB) *namespace {
	t.Helper()
	ns, err := openNamespace(l.name)
	must(t, err)
	t.Cleanup(ns.close)
	return ns
}

func (l *lab) link(t testing.TB, name string) netlink.Link {
	t.Helper()
	found, err := l.handle.LinkByName(name)
	must(t, err)
	return found
}

// program is what netlink's own parser says is on an interface: the second
// opinion beside [conn.link].
func (l *lab) program(t testing.TB, name string) netlink.LinkXdp {
	t.Helper()
	if xdp := l.link(t, name).Attrs().Xdp; xdp != nil {
		return *xdp
	}
	return netlink.LinkXdp{}
}

// hold fails the test unless the program with the given id is on v0 in a mode.
func (l *lab) hold(t testing.TB, id uint32, mode Mode) {
	t.Helper()
	attachedAs := map[Mode]uint32{Native: 1, Generic: 2, Offload: 3} // XDP_ATTACHED_
	if on := l.program(t, "v0"); on.ProgId != id || on.AttachMode != attachedAs[mode] {
		t.Errorf("v0 has program %d, mode %d, want program %d, %s", on.ProgId, on.AttachMode, id, mode)
	}
}

// bare fails the test unless v0 has no program.
func (l *lab) bare(t testing.TB) {
	t.Helper()
	if on := l.program(t, "v0"); on.Attached || on.ProgId != 0 {
		t.Errorf("v0 has program %d, want none", on.ProgId)
	}
}

// heldBy fails the test unless v0 has the program of a job, in a mode.
func (l *lab) heldBy(t testing.TB, p *process, mode Mode) {
	t.Helper()
	var id uint32
	if _, err := fmt.Sscanf(p.said, "attached %d", &id); err != nil {
		t.Fatalf("it says %q: %v", p.said, err)
	}
	l.hold(t, id, mode)
}

func (l *lab) options(mode Mode) Options {
	return Options{Interface: "v0", Mode: mode, Namespace: l.name}
}

func (l *lab) attach(t testing.TB, mode Mode) *Attachment {
	t.Helper()
	a, err := Attach(load(t, asm.Config{}), l.options(mode))
	must(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func load(t testing.TB, cfg asm.Config) *ebpf.Collection {
	t.Helper()
	coll, err := Load(cfg)
	must(t, err)
	t.Cleanup(coll.Close)
	return coll
}

// stranger loads a program that is not xdplog's, and returns it with its id.
func stranger(t testing.TB) (*ebpf.Program, uint32) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "stranger", Type: ebpf.XDP, License: "MIT",
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()},
	})
	must(t, err)
	t.Cleanup(func() { prog.Close() })
	info, err := prog.Info()
	must(t, err)
	id, _ := info.ID()
	return prog, uint32(id)
}

// takesFrags reports whether the kernel takes a frags-aware program.
func takesFrags() bool {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "MIT", Flags: unix.BPF_F_XDP_HAS_FRAGS,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()},
	})
	if err != nil {
		return false
	}
	prog.Close()
	return true
}

// force puts a program on v0 in place of whatever is there.
func (l *lab) force(t testing.TB, prog *ebpf.Program, mode Mode) {
	t.Helper()
	index := l.link(t, "v0").Attrs().Index
	now, err := l.conn.link(index)
	must(t, err)
	expected := noProgram
	if id := now.programs[mode]; id != 0 {
		there := inspect(index, id, mode)
		defer there.close()
		expected = there.prog.FD()
	}
	fd := noProgram
	if prog != nil {
		fd = prog.FD()
	}
	must(t, l.conn.setXDP(index, fd, mode, expected))
}

// privileged skips a test that needs rights which are not there, or fails it
// where no test may be skipped.
func privileged(t testing.TB) {
	t.Helper()
	lacks := missing(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN)
	switch {
	case len(lacks) == 0:
	case os.Getenv("XDPLOG_E2E") == "required":
		t.Fatal(needs(lacks))
	default:
		t.Skip(needs(lacks))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says fails the test unless err is one line with all the words in it.
func says(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	saysText(t, err.Error(), words...)
}

// is reports an error that does not wrap another.
func is(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%v does not wrap %q", err, target)
	}
}

// sources are the texts of the package's files, by name.
func sources(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	must(t, err)
	texts := make(map[string]string)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		must(t, err)
		texts[file] = string(text)
	}
	return texts
}

func saysText(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.ContainsAny(text, "\n\r") {
		t.Errorf("%q is more than one line", text)
	}
	t.Log(text)
}
