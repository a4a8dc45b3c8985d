package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// What happens to an interface while xdplog is on it.

// goesOn fails the test unless a frame that is sent now is the next event.
func (l *lab) goesOn(t testing.TB, capture *process) {
	t.Helper()
	l.send(t, marker())
	if e := capture.next(t); !e.isMarker() {
		t.Errorf("event is %v, want the one just sent", e)
	}
}

// TestDownAndUp takes the interface down and up again: events go on.
func TestDownAndUp(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.goesOn(t, capture)
		for range 3 {
			lab.right.change(t, right(0), netlink.LinkSetDown)
			lab.right.change(t, right(0), netlink.LinkSetUp)
			if err := lab.warmUp(0); err != nil {
				t.Fatal(err)
			}
			lab.goesOn(t, capture)
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestStoppedWhileDown ends while the interface is down, which takes the
// program off all the same.
func TestStoppedWhileDown(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.right.change(t, right(0), netlink.LinkSetDown)
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestMTUChanged makes the packets longer than a page, which a native program
// that knows of several buffers takes, and shorter again.
func TestMTUChanged(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		if mode == "native" && !takesFrags(t) {
			return // such a kernel refuses an MTU of more than a page
		}
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		for _, mtu := range []int{9000, 1500, 576 + 1000} {
			set := func(at netlink.Link) error { return netlink.LinkSetMTU(at, mtu) }
			lab.right.change(t, right(0), set)
			lab.left.change(t, left(0), set)
			lab.udp(t, 0, false, 53, 1, mtu-20-8)
			if e := capture.next(t); e.Length != mtu+14 {
				t.Errorf("length is %d with an MTU of %d, want %d: %v", e.Length, mtu, mtu+14, e)
			}
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestQueuesChanged gives the interface more and fewer queues (ethtool -L).
func TestQueuesChanged(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLabWith(t, labOptions{queues: 4})
		if err := lab.right.do(func() error { return setQueues(right(0), 4, 4) }); err == unix.EOPNOTSUPP {
			t.Skip("this kernel lacks veths whose number of queues changes")
		}
		capture := lab.xdplog(t, "--mode", mode)
		if mode == "native" { // a veth that has a program refuses fewer than its peer sends on
			if err := lab.right.do(func() error { return setQueues(right(0), 1, 1) }); err != unix.EINVAL {
				t.Errorf("set 1 queue where the peer has 4: %v, want %v", err, unix.EINVAL)
			}
			lab.goesOn(t, capture)
		}
		for _, queues := range []uint32{4, 1, 3} {
			// A native program needs as many queues as the other end sends on.
			steps := []func() error{
				func() error { return lab.left.do(func() error { return setQueues(left(0), queues, queues) }) },
				func() error { return lab.right.do(func() error { return setQueues(right(0), queues, queues) }) },
			}
			for i := range steps {
				if queues > 1 { // the receiving end first
					i = len(steps) - 1 - i
				}
				if err := steps[i](); err != nil {
					t.Fatalf("set %d queues: %v", queues, err)
				}
			}
			for range 10 {
				lab.goesOn(t, capture)
			}
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// setQueues sets how many queues an interface receives and sends on.
func setQueues(name string, receive, send uint32) error {
	const setChannels = 0x3d // ETHTOOL_SCHANNELS, linux/ethtool.h
	channels := struct {
		command                                    uint32
		maxReceive, maxSend, maxOther, maxCombined uint32
		receive, send, other, combined             uint32
	}{command: setChannels, receive: receive, send: send}
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&channels)}
	copy(request.name[:], name)

	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// TestMoved moves the interface to another network namespace. The program goes
// along, and xdplog, which has given up the right to follow, says how to take
// it off.
func TestMoved(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		there := newThread(t, network)
		lab.right.change(t, right(0), func(at netlink.Link) error { return netlink.LinkSetNsPid(at, there.id) })
		end := capture.wait(t)
		if end.status != 1 {
			t.Errorf("exit status is %d, want 1", end.status)
		}
		for _, word := range []string{right(0), "moved to another network namespace", "xdplog detach --netns"} {
			if !strings.Contains(end.stderr, word) {
				t.Errorf("stderr lacks %q:\n%s", word, end.stderr)
			}
		}
		by := start(t, there, "detach", "-i", right(0)).wait(t)
		if by.status != 0 || !strings.Contains(strings.Join(by.lines, "\n"), mode) {
			t.Errorf("detach: exit status is %d, want 0, and it says %q %s", by.status, by.lines, by.stderr)
		}
		complain(t, there, 1, []string{"no XDP program"}, "detach", "-i", right(0))
	})
}

// TestMadeAgain deletes the interface and makes one of the same name at once:
// xdplog ends, does nothing to the new one, and can be started on it.
func TestMadeAgain(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		for range 3 {
			capture := lab.xdplog(t, "--mode", mode)
			lab.goesOn(t, capture)
			lab.remove(t, right(0))
			unix.Close(lab.wires[0].packets)
			lab.wires = lab.wires[:0]
			if err := lab.connect(0, 1500, 1); err != nil {
				t.Fatalf("make the veth pair again: %v", err)
			}
			end := capture.wait(t)
			if end.status != 1 || !strings.Contains(end.stderr, right(0)+" is gone") {
				t.Errorf("exit status is %d, want 1 and that %s is gone on stderr:\n%s", end.status, right(0), end.stderr)
			}
			lab.wantNoProgram(t)
		}
		capture := lab.xdplog(t, "--mode", mode)
		lab.goesOn(t, capture)
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestForeignWhileRunning tries to attach other programs beside ours without
// force: the kernel refuses them, and events go on.
func TestForeignWhileRunning(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		ours := lab.wantProgram(t, mode)
		restore := setMemlock(t, unix.RLIM_INFINITY) // before Linux 5.11 a program is counted
		theirs, err := loadForeign(0)
		restore()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		intruders := map[string]func(netlink.Link) error{
			"by link": func(at netlink.Link) error {
				held, err := link.AttachXDP(link.XDPOptions{Program: theirs, Interface: at.Attrs().Index})
				if err == nil {
					held.Close()
				}
				return err
			},
		}
		for _, other := range []string{"native", "generic"} {
			intruders[other] = func(at netlink.Link) error {
				return netlink.LinkSetXdpFdWithFlags(at, theirs.FD(), xdpFlags(other)|unix.XDP_FLAGS_UPDATE_IF_NOEXIST)
			}
		}
		for name, intrude := range intruders {
			lab.right.change(t, right(0), func(at netlink.Link) error {
				if intrude(at) == nil {
					return fmt.Errorf("a program was attached %s beside ours", name)
				}
				return nil
			})
			if now := lab.wantProgram(t, mode); now != ours {
				t.Errorf("%s carries %v, want still %v", right(0), now, ours)
			}
			lab.goesOn(t, capture)
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// offlineEnv lets a test take a CPU off the machine for a moment: for guests.
const offlineEnv = "XDPLOG_E2E_OFFLINE"

// TestCPUOffline takes a CPU off while xdplog runs, and brings it back, three times; and
// starts another xdplog meanwhile, for which that CPU comes late. Both read it then, at
// once but with transport perf, for which buffers have to be made: what comes before is
// counted as lost, to the packet.
func TestCPUOffline(t *testing.T) {
	const online = "/sys/devices/system/cpu/cpu1/online"
	if _, err := os.Stat(online); err != nil || os.Getenv(offlineEnv) == "" {
		t.Skipf("needs a CPU that can be taken off, and %s=1", offlineEnv)
	}
	set := func(t *testing.T, to string) {
		if err := os.WriteFile(online, []byte(to), 0); err != nil {
			t.Fatal(err)
		}
	}
	defer set(t, "1")
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLabWith(t, labOptions{pairs: 2})
		capture := lab.xdplog(t, "--transport", transport.String())
		sent := [2]int{}
		lostAtMost := 0
		reads := func(pair int, capture *process) {
			t.Helper()
			tries := lab.sendUntil(t, pair, capture)
			sent[pair] += tries
			if transport == asm.Perf {
				lostAtMost += tries - 1
			} else if tries > 1 {
				t.Errorf("%d packets were lost", tries-1)
			}
		}
		for range 3 {
			set(t, "0")
			lab.pinLeft(t, 0)
			lab.goesOn(t, capture)
			set(t, "1")
			lab.pinLeft(t, 1)
			reads(0, capture)
			lab.goesOn(t, capture)
			lab.goesOn(t, capture)
			sent[0] += 3
		}
		set(t, "0")
		second := start(t, lab.right, "-i", right(1), "-o", "json", "--transport", transport.String()).listens(t)
		if state, _ := os.ReadFile("/sys/devices/system/cpu/cpu2/online"); string(state) == "1\n" { // above one that is offline
			lab.pinLeft(t, 2)
			reads(0, capture)
			reads(1, second)
		}
		set(t, "1")
		lab.pinLeft(t, 1)
		reads(0, capture)
		reads(1, second)
		lab.pinLeft(t, 0)
		lab.goesOn(t, capture)
		sent[0]++
		lost := 0
		for i, p := range []*process{capture, second} {
			c := p.stop(t).counters
			lost += int(c.Lost)
			if c.Captured+c.Lost != uint64(sent[i]) {
				t.Errorf("counters are %+v, want the %d packets sent", c, sent[i])
			}
		}
		if lost > lostAtMost {
			t.Errorf("%d packets were lost, want %d at most", lost, lostAtMost)
		}
		lab.wantNoProgram(t)
	})
}

// pinLeft has the left side send on a CPU from now on, which is the one that receives, too.
func (l *lab) pinLeft(t *testing.T, cpu int) {
	t.Helper()
	if err := l.left.do(pin(cpu)); err != nil {
		t.Fatal(err)
	}
}

// sendUntil sends markers until one is an event, and returns how many it took.
func (l *lab) sendUntil(t *testing.T, pair int, p *process) int {
	t.Helper()
	for tries := 1; tries <= 20; tries++ {
		if err := l.transmit(pair, marker()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.lines:
			return tries
		case <-time.After(time.Second):
		}
	}
	t.Fatal("a CPU that came back is not read")
	return 0
}
