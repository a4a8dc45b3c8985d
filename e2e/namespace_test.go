package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespaceName is unique, though nobody sees it but a thread and its children.
func namespaceName() string { return fmt.Sprint("xdplog-e2e-", os.Getpid()) }

// elsewhere is a thread in neither of the lab's namespaces, which knows the
// right one by a name, in a /run that is its own.
func (l *lab) elsewhere(t testing.TB) (th *thread, name string) {
	t.Helper()
	name = namespaceName()
	path := filepath.Join("/run/netns", name)
	th = newThread(t, steps(network, privateMounts, emptyRun, func() error {
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			return err
		}
		return unix.Mount(fmt.Sprintf("/proc/%d/ns/net", l.right.id), path, "", unix.MS_BIND, "")
	}))
	return th, name
}

// idle starts a process that does nothing in the right namespace.
func (l *lab) idle(t testing.TB) *process {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), idleEnv+"=1")
	if _, err := cmd.StdinPipe(); err != nil { // open until the test ends
		t.Fatal(err)
	}
	return launch(t, l.right, cmd).read()
}

// TestNamespace attaches in another namespace, named in three ways.
func TestNamespace(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		outside, name := lab.elsewhere(t)
		idle := lab.idle(t)
		for kind, ns := range map[string]string{
			"name": name,
			"path": filepath.Join("/run/netns", name),
			"pid":  fmt.Sprint(idle.cmd.Process.Pid),
		} {
			t.Run(kind, func(t *testing.T) {
				capture := start(t, outside, "-i", right(0), "-o", "json", "--mode", mode, "--netns", ns).listens(t)
				lab.wantProgram(t, mode)
				lab.udp(t, 0, false, 53, 1, 18)
				capture.want(t, udp4)
				capture.stop(t)
				lab.wantNoProgram(t)
			})
		}
		complain(t, outside, 1, []string{"nosuchns"}, "-i", right(0), "--netns", "nosuchns")
		complain(t, outside, 1, []string{"nosuch0", right(0)}, "-i", "nosuch0", "--netns", name)

		start(t, outside, "-i", right(0), "-o", "json", "--mode", mode, "--netns", name).listens(t).kill(t)
		lab.wantProgram(t, mode)
		if end := start(t, outside, "detach", "-i", right(0), "--netns", name).wait(t); end.status != 0 {
			t.Errorf("detach: exit status is %d, want 0:\n%s", end.status, end.stderr)
		}
		lab.wantNoProgram(t)
	})
}

// TestNamespaceDeleted is ip netns del: xdplog says so and ends, and with it
// ends the namespace.
func TestNamespaceDeleted(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		for _, dir := range []string{"", "/run/netns"} {
			t.Run("as "+filepath.Join(dir, "NAME"), func(t *testing.T) {
				lab := newLab(t)
				outside, name := lab.elsewhere(t)
				capture := start(t, outside, "-i", right(0), "-o", "json", "--mode", mode, "--netns", filepath.Join(dir, name)).listens(t)
				lab.udp(t, 0, false, 53, 1, 18)
				capture.want(t, udp4)

				lab.right.end()
				begin := time.Now()
				err := outside.do(func() error {
					path := filepath.Join("/run/netns", name)
					if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
						return err
					}
					return os.Remove(path)
				})
				if err != nil {
					t.Fatalf("delete the namespace: %v", err)
				}
				end := capture.wait(t)
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("it took %v to end, want at once", took)
				}
				if end.status != 1 || !strings.Contains(end.stderr, name) {
					t.Errorf("exit status is %d, want 1 and %s on stderr:\n%s", end.status, name, end.stderr)
				}
				lab.awaitGone(t, left(0)) // its peer was in that namespace
			})
		}
	})
}

// awaitGone returns when an interface of the left namespace is gone.
func (l *lab) awaitGone(t testing.TB, name string) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < timeout; time.Sleep(time.Millisecond) {
		err := l.left.do(func() error { _, err := netlink.LinkByName(name); return err })
		if _, gone := err.(netlink.LinkNotFoundError); gone {
			return
		}
	}
	t.Fatalf("%s is still there after %v", name, timeout)
}

// TestEmptyRoot starts xdplog where there is nothing but itself, /proc and
// /sys: no file, no library, no environment.
func TestEmptyRoot(t *testing.T) {
	lab := newLab(t)
	run := lab.emptyRoot(t, "proc", "sys")
	for _, mode := range []string{"auto", "native", "generic"} {
		capture := run("-i", right(0), "-o", "json", "--mode", mode).listens(t)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		capture.stop(t)
		lab.wantNoProgram(t)
	}
}

// install copies the command to a path.
func install(t testing.TB, path string) {
	t.Helper()
	from, err := os.Open(os.Getenv(binaryEnv))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}
