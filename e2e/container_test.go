package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// containerEnv makes this binary the first process of a container: its value
// is the root directory. It becomes xdplog.
const containerEnv = "XDPLOG_E2E_CONTAINER"

// containerReadOnlyEnv has its root be one that nobody can write to.
const containerReadOnlyEnv = "XDPLOG_E2E_CONTAINER_READONLY"

// containerUserEnv has it become the image's user before.
const containerUserEnv = "XDPLOG_E2E_CONTAINER_USER"

// granted are all the capabilities that the container has.
var granted = []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}

// contain does what a container runtime does, in fresh mount and pid
// namespaces: mounts /proc and /sys, drops capabilities, and starts the
// image's entry point.
func contain(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for name, kind := range map[string]string{"proc": "proc", "sys": "sysfs"} {
		if err := unix.Mount(kind, filepath.Join(root, name), kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", kind, err)
		}
	}
	if os.Getenv(containerReadOnlyEnv) != "" {
		if err := unix.Mount(root, root, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("make the root a mount: %w", err)
		}
		if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make the root read-only: %w", err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(granted, c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if os.Getenv(containerUserEnv) != "" { // who has no capabilities but the file's
		if err := errors.Join(unix.Setgroups(nil), unix.Setresgid(65532, 65532, 65532), unix.Setresuid(65532, 65532, 65532)); err != nil {
			return fmt.Errorf("become another user: %w", err)
		}
		return unix.Exec("/xdplog", append([]string{"/xdplog"}, os.Args[1:]...), []string{})
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Exec("/xdplog", append([]string{"/xdplog"}, os.Args[1:]...), []string{})
}

// image is the root of deploy/Dockerfile's image, built by hand, with the
// directories that a container runtime adds.
func image(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	install(t, filepath.Join(root, "xdplog"))
	for _, name := range []string{"proc", "sys"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// inContainer is an xdplog in a container with a root, that is yet to be started.
func inContainer(root string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{containerEnv + "=" + root}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	return cmd
}

// TestContainer runs xdplog as the first and only process of a container with
// a root of its one file, fresh mount, pid and network namespaces, and three
// capabilities.
func TestContainer(t *testing.T) {
	lab := newLab(t)
	admit(t, nil)
	root := image(t)
	contained := func(args ...string) *exec.Cmd { return inContainer(root, args...) }
	for _, mode := range []string{"native", "generic"} {
		capture := launch(t, lab.right, contained("-i", right(0), "-o", "json", "--mode", mode)).read().listens(t)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)

		// Another one, in another container, names neither a process that it
		// can't see, nor goes on.
		launch(t, lab.right, contained("-i", right(0), "--place", "xdp")).read().complains(t, 1, right(0), "already watched by xdplog")

		capture.signal(t, unix.SIGTERM)
		if end := capture.wait(t); end.status != 0 {
			t.Errorf("exit status is %d after SIGTERM, want 0:\n%s", end.status, end.stderr)
		}
		lab.wantNoProgram(t)

		// Killed, as when memory is short, and started again by the runtime.
		launch(t, lab.right, contained("-i", right(0), "--mode", mode)).read().listens(t).kill(t)
		lab.wantProgram(t, mode)
		capture = launch(t, lab.right, contained("-i", right(0), "-o", "json", "--mode", mode)).read().listens(t)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
		capture.stop(t)
		lab.wantNoProgram(t)
	}
	end := launch(t, lab.right, contained("check", "-i", right(0))).read().wait(t)
	if end.status != 0 {
		t.Errorf("check: exit status is %d, want 0:\n%s\n%s", end.status, end.stderr, strings.Join(end.lines, "\n"))
	}

	// Files of packets follow one another in its root.
	if err := os.Mkdir(filepath.Join(root, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	capture := launch(t, lab.right, contained("-i", right(0), "-w", "/data/%F-%H%M%S", "-G", "1h", "-C", "8KiB")).read().listens(t)
	lab.burst(t, 500, marker())
	capture.signal(t, unix.SIGTERM)
	if end := capture.wait(t); end.status != 0 || !strings.Contains(end.stderr, "\n500 packets captured\n") {
		t.Errorf("exit status is %d after SIGTERM:\n%s", end.status, end.stderr)
	}
	packets := 0
	for _, name := range filesIn(t, filepath.Join(root, "data")) {
		packets += len(readRecordingFile(t, name).packets)
	}
	if packets != 500 {
		t.Errorf("%d packets are in the files, want 500", packets)
	}
}

// TestContainerUser runs it as the image's user, whose capabilities are those of the file.
func TestContainerUser(t *testing.T) {
	lab := newLab(t)
	admit(t, nil)
	root := image(t)
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var permitted [2]uint32
	for _, c := range granted {
		permitted[c/32] |= 1 << (c % 32)
	}
	const magic = 0x02000001 // struct vfs_cap_data, revision 2, effective
	var attribute []byte
	for _, word := range []uint32{magic, permitted[0], 0, permitted[1], 0} {
		attribute = binary.LittleEndian.AppendUint32(attribute, word)
	}
	switch err := unix.Setxattr(filepath.Join(root, "xdplog"), "security.capability", attribute, 0); {
	case errors.Is(err, unix.ENOTSUP):
		t.Logf("files have no capabilities where %s is", root)
		return
	case err != nil:
		t.Fatalf("give the file capabilities: %v", err)
	}
	cmd := inContainer(root, "-i", right(0), "-o", "json", "--attach", "link", "--transport", "ringbuf")
	cmd.Env = append(cmd.Env, containerUserEnv+"=1")
	capture := launch(t, lab.right, cmd).read().listens(t)
	lab.udp(t, 0, false, 53, 1, 18)
	capture.want(t, udp4)
	capture.stop(t)
	lab.wantNoProgram(t)
}
