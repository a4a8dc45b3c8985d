package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tokenEnv makes this binary mount a bpffs that was made for its user namespace at
// the directory that it names, set lo up, and become its arguments.
const tokenEnv = "XDPLOG_E2E_TOKEN"

// tokenSocket is the descriptor over which it asks for that.
const tokenSocket = 3

// becomeDelegated does not return but with an error.
func becomeDelegated(directory string) error {
	opened, err := unix.Fsopen("bpf", 0)
	if err != nil {
		return fmt.Errorf("open a bpffs: %w", err)
	}
	if err := unix.Sendmsg(tokenSocket, []byte{0}, unix.UnixRights(opened), nil, 0); err != nil {
		return fmt.Errorf("ask for delegation: %w", err)
	}
	mount, err := receiveDescriptor(tokenSocket)
	if err != nil {
		return err
	}
	if err := unix.MoveMount(mount, "", unix.AT_FDCWD, directory, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount the bpffs: %w", err)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || !strings.Contains(string(mounts), "delegate_cmds") {
		return errors.Join(errNoTokens, err) // kernels before 6.9 take any option of a bpffs, and do nothing about it
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	unix.CloseOnExec(mount)
	unix.CloseOnExec(opened)
	unix.CloseOnExec(tokenSocket)
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

var errNoTokens = errors.New("this kernel lacks BPF tokens")

func receiveDescriptor(socket int) (int, error) {
	buffer, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, length, _, _, err := unix.Recvmsg(socket, buffer, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("receive a descriptor: %w", err)
	}
	if n == 0 {
		return 0, errors.New("receive a descriptor: the other end is closed")
	}
	messages, err := unix.ParseSocketControlMessage(rights[:length])
	if err != nil || len(messages) == 0 {
		return 0, fmt.Errorf("receive a descriptor: %w", errors.Join(err, errors.New("there is none")))
	}
	descriptors, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(descriptors) == 0 {
		return 0, fmt.Errorf("receive a descriptor: %w", errors.Join(err, errors.New("there is none")))
	}
	return descriptors[0], nil
}

// delegate answers one becomeDelegated.
func delegate(socket int) error {
	opened, err := receiveDescriptor(socket)
	if err != nil {
		return err
	}
	defer unix.Close(opened)
	for _, what := range []string{"delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs"} {
		if err := unix.FsconfigSetString(opened, what, "any"); err != nil {
			return err
		}
	}
	if err := unix.FsconfigCreate(opened); err != nil {
		return err
	}
	mount, err := unix.Fsmount(opened, 0, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return unix.Sendmsg(socket, []byte{0}, unix.UnixRights(mount), nil, 0)
}

// TestToken runs xdplog in a user namespace, whose capabilities mean nothing to
// bpf(2), with a token of a bpffs that delegates.
func TestToken(t *testing.T) {
	needPrivilege(t)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	cmd := exec.Command("/proc/self/exe", os.Getenv(binaryEnv), "-i", "lo", "-o", "json")
	cmd.Env = append(os.Environ(), tokenEnv+"="+t.TempDir())
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{Size: 1}}, GidMappings: []syscall.SysProcIDMap{{Size: 1}},
	}
	capture := launch(t, newThread(t, func() error { return nil }), cmd).read()
	theirs.Close()
	err = delegate(pair[0])
	unix.Close(pair[0])
	if err != nil {
		t.Fatalf("delegate: %v", err)
	}
	if !capture.stderr.await(listening) && strings.Contains(capture.stderr.String(), errNoTokens.Error()) {
		t.Skip(errNoTokens)
	}
	capture.listens(t)
	inside := newThread(t, func() error {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
		if err != nil {
			return err
		}
		defer ns.Close()
		return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	})
	err = inside.do(func() error {
		conn, err := net.Dial("udp", "127.0.0.1:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		return err
	})
	if err != nil {
		t.Fatalf("send inside: %v", err)
	}
	if e := capture.next(t); e.Source != "127.0.0.1" || e.Interface != "lo" {
		t.Errorf("event is %v", e)
	}
	if end := capture.stop(t); end.counters.Captured != 1 {
		t.Errorf("counters are %+v, want 1 captured", end.counters)
	}
}
