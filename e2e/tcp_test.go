package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// A tcpRun is what a TCP connection got through a pair.
type tcpRun struct {
	rate        float64 // bytes a second
	retransmits uint32
}

// throughput sends from left to right over one connection for a time, no faster
// than pace (bytes a second) unless that is 0.
func (l *lab) throughput(t testing.TB, d time.Duration, pace int) tcpRun {
	t.Helper()
	to := net.TCPAddrFromAddrPort(netip.AddrPortFrom(address(0, 2, false), 80))
	var listener *net.TCPListener
	err := l.right.do(func() (err error) { listener, err = net.ListenTCP("tcp", to); return err })
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	defer listener.Close()
	var sender *net.TCPConn
	err = l.left.do(func() (err error) { sender, err = net.DialTCP("tcp", nil, to); return err })
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer sender.Close()
	receiver, err := listener.AcceptTCP()
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	received := make(chan int64, 1)
	go func() {
		defer receiver.Close()
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{receiver}, make([]byte, 1<<18))
		received <- n
	}()

	if pace > 0 {
		if err := setPace(sender, pace); err != nil {
			t.Fatalf("set the pace: %v", err)
		}
	}
	chunk, start := make([]byte, 1<<18), time.Now()
	sender.SetDeadline(start.Add(d + timeout))
	for time.Since(start) < d {
		if _, err := sender.Write(chunk); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	retransmits, err := retransmitted(sender)
	if err != nil {
		t.Fatalf("ask for TCP_INFO: %v", err)
	}
	sender.CloseWrite()
	n := <-received
	return tcpRun{float64(n) / time.Since(start).Seconds(), retransmits}
}

func setPace(conn *net.TCPConn, pace int) (err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, pace)
	})
	return errors.Join(err, controlErr)
}

// retransmitted is the number of segments that a connection has sent again.
func retransmitted(conn *net.TCPConn) (total uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			total = info.Total_retrans
		}
	})
	return total, errors.Join(err, controlErr)
}

// passOn attaches a program that does nothing, to what costs packets as much
// as being received through XDP does.
func (l *lab) passOn(t testing.TB) (remove func()) {
	t.Helper()
	const hasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS, Linux 5.18
	spec := &ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "MIT", Flags: hasFrags,
		Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()}, // XDP_PASS
	}
	prog, err := ebpf.NewProgram(spec)
	if errors.Is(err, unix.EINVAL) {
		spec.Flags = 0
		prog, err = ebpf.NewProgram(spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	set := func(fd int) {
		t.Helper()
		err := l.right.do(func() error {
			at, err := netlink.LinkByName(right(0))
			if err != nil {
				return err
			}
			return netlink.LinkSetXdpFdWithFlags(at, fd, xdpFlags("native"))
		})
		if err != nil {
			t.Fatalf("attach a program that passes all: %v", err)
		}
	}
	set(prog.FD())
	return func() { t.Helper(); set(-1) }
}

// A tcpComparison is what a pair lets through without a program, with one that
// does nothing, and with xdplog. They take turns, so that whatever else the
// machine does hits them alike.
//
// A veth hands segments of 64 KiB over by reference, until a program is
// attached to it natively, any program: then it sends frames of its MTU, and
// copies each. That it sends frames is so from the start here, as on a card;
// what a veth's copy costs shows between the first two.
type tcpComparison struct {
	without, pass, with []tcpRun
}

func (l *lab) compareTCP(t testing.TB) *tcpComparison {
	t.Helper()
	err := errors.Join(
		l.left.do(func() error { return sendFrames(left(0)) }),
		l.right.do(func() error { return useGRO(right(0)) }),
	)
	if err != nil {
		t.Fatal(err)
	}
	return new(tcpComparison)
}

// round adds a run of each.
func (c *tcpComparison) round(t testing.TB, lab *lab, transport asm.Transport, each time.Duration, pace int) {
	t.Helper()
	c.without = append(c.without, lab.throughput(t, each, pace))
	remove := lab.passOn(t)
	c.pass = append(c.pass, lab.throughput(t, each, pace))
	remove()
	capture := lab.capture(t, captureOptions{Config: asm.Config{Transport: transport}})
	c.with = append(c.with, lab.throughput(t, each, pace))
	capture.finish(t)
}

// ratios are those of runs of the same round, sorted.
func ratios(runs, to []tcpRun) []float64 {
	var all []float64
	for i := range runs {
		all = append(all, runs[i].rate/to[i].rate)
	}
	slices.Sort(all)
	return all
}

func rates(runs []tcpRun) (all []float64) {
	for _, run := range runs {
		all = append(all, run.rate/1e9)
	}
	slices.Sort(all)
	return all
}

func retransmits(runs []tcpRun) (sum uint32) {
	for _, run := range runs {
		sum += run.retransmits
	}
	return sum
}

// lossless reports whether there was a round in which no more segments were sent
// again with xdplog than without a program. A machine that is busy, or emulated,
// sends some again in any case.
func (c *tcpComparison) lossless() bool {
	for i, run := range c.with {
		if run.retransmits <= c.without[i].retransmits {
			return true
		}
	}
	return false
}

func (c *tcpComparison) String() string {
	return fmt.Sprintf("%.2f GB/s without a program, %.2f with one that does nothing, %.2f with xdplog; %d, %d, %d segments sent again",
		middle(rates(c.without)), middle(rates(c.pass)), middle(rates(c.with)),
		retransmits(c.without), retransmits(c.pass), retransmits(c.with))
}

// pace is that of a connection which leaves the machine time to breathe, in
// bytes a second: 2 Gbit/s, some 170,000 packets a second.
const pace = 250e6

// TestTCP proves that such a connection keeps 0.9 of its throughput where
// xdplog is attached, and that no segment is sent again for it. What becomes of
// one that takes all of the machine, BenchmarkTCP tells.
func TestTCP(t *testing.T) {
	const least = 0.9
	rounds, each, pace := 5, 200*time.Millisecond, int(pace)
	if soak(t) > 0 {
		rounds, each = 9, time.Second
	}
	if testing.Short() { // an emulated machine
		pace /= 10
	}
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		c := lab.compareTCP(t)
		for range rounds {
			c.round(t, lab, transport, each, pace)
		}
		t.Logf("%v; %.2f of no program's", c, ratios(c.with, c.without))
		if got := middle(ratios(c.with, c.without)); got < least && !testing.Short() {
			t.Errorf("xdplog lets %.2f of the throughput through, want %v", got, least)
		}
		if !c.lossless() {
			t.Errorf("in each of %d rounds more segments were sent again than without a program: %d, %d", rounds, retransmits(c.with), retransmits(c.without))
		}
	})
}

// BenchmarkTCP measures the throughput of one connection, both ends of which
// this machine has to serve: paced, and as fast as it can.
func BenchmarkTCP(b *testing.B) {
	for _, rate := range []struct {
		name string
		pace int
	}{{"paced", pace}, {"full", 0}} {
		for _, transport := range transports {
			b.Run(fmt.Sprintf("rate=%s/transport=%v", rate.name, transport), func(b *testing.B) {
				benchmarkTCP(b, transport, rate.pace)
			})
		}
	}
}

func benchmarkTCP(b *testing.B, transport asm.Transport, pace int) {
	lab := newLab(b)
	c := lab.compareTCP(b)
	for b.Loop() {
		for range 5 {
			c.round(b, lab, transport, 300*time.Millisecond, pace)
		}
	}
	b.ReportMetric(middle(rates(c.without)), "GB/s-without")
	b.ReportMetric(middle(rates(c.pass)), "GB/s-pass")
	b.ReportMetric(middle(rates(c.with)), "GB/s")
	b.ReportMetric(middle(ratios(c.with, c.without)), "of-without")
	b.ReportMetric(middle(ratios(c.with, c.pass)), "of-pass")
	b.ReportMetric(float64(retransmits(c.with)), "resent")
	b.ReportMetric(float64(retransmits(c.pass)), "resent-pass")
	b.ReportMetric(0, "ns/op")
}
