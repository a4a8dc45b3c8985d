package e2e

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"golang.org/x/sys/unix"
)

// A trickle is a datagram a millisecond from left0 to right0, each with a number of
// its own as source port, received there behind XDP.
type trickle struct {
	end  func()
	done sync.WaitGroup
	in   int // packet socket on the right

	began    time.Time
	ended    time.Duration   // after that
	sent     []time.Duration // when, since it began
	received map[uint16]int  // how often, by number
}

// The ports of a trickle's datagrams.
const (
	tricklePort = 4000
	firstNumber = 1024
)

func (l *lab) trickle(t *testing.T) *trickle {
	t.Helper()
	tr := &trickle{received: map[uint16]int{}, began: time.Now()}
	err := l.right.do(func() (err error) { tr.in, err = packetSocket(right(0), unix.ETH_P_IP); return err })
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptInt(tr.in, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	tick := unix.NsecToTimeval(int64(20 * time.Millisecond))
	if err := unix.SetsockoptTimeval(tr.in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick); err != nil {
		t.Fatal(err)
	}
	f := frame(ethernet(eth4), ipv4(protoUDP), udp(0, tricklePort), gopacket.Payload(make([]byte, 100)))
	f = sumIPv4(patch(f, 0, l.wires[0].to...), 14)
	end, sent := make(chan struct{}), make(chan struct{})
	tr.end = sync.OnceFunc(func() { close(end) })
	tr.done.Go(func() { defer close(sent); tr.send(l.wires[0].packets, f, end) })
	tr.done.Go(func() { tr.receive(sent) })
	t.Cleanup(func() { tr.end(); tr.done.Wait() })
	return tr
}

func (tr *trickle) send(out int, f []byte, end chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	const most = 4 // at once, where an emulated machine was late
	for due := 0; len(tr.sent) < 1<<16-firstNumber-most; {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		now := time.Since(tr.began)
		due = max(due, int(now.Milliseconds())-most)
		for ; due < int(now.Milliseconds()); due++ {
			binary.BigEndian.PutUint16(f[14+20:], uint16(firstNumber+len(tr.sent)))
			tr.sent = append(tr.sent, time.Since(tr.began))
			unix.Write(out, f) // what is not sent is missed, as what is lost is
		}
	}
}

// receive takes what comes, until for half a second after the last was sent nothing has.
func (tr *trickle) receive(sent chan struct{}) {
	defer unix.Close(tr.in)
	buffer := make([]byte, 2048)
	for last := time.Now(); time.Since(last) < 500*time.Millisecond; {
		n, _, err := unix.Recvfrom(tr.in, buffer, 0)
		if err == nil && n >= 14+28 && binary.BigEndian.Uint16(buffer[14+22:]) == tricklePort {
			tr.received[binary.BigEndian.Uint16(buffer[14+20:])]++
			last = time.Now()
		}
		select {
		case <-sent:
		default:
			last = time.Now()
		}
	}
}

// stop ends it, and returns when all has arrived.
func (tr *trickle) stop() *trickle {
	tr.end()
	tr.ended = time.Since(tr.began)
	tr.done.Wait()
	return tr
}

// lost are the datagrams that did not arrive, by when they were sent.
func (tr *trickle) lost() (when []time.Duration) {
	for i, at := range tr.sent {
		if tr.received[uint16(firstNumber+i)] == 0 {
			when = append(when, at)
		}
	}
	return when
}

// String says which datagrams were lost.
func (tr *trickle) String() string {
	text := fmt.Sprintf("%d sent in %.1f s, %d lost", len(tr.sent), tr.ended.Seconds(), len(tr.lost()))
	const apart = 50 * time.Millisecond
	var first, last time.Duration
	n := 0
	flush := func() {
		if n > 0 {
			text += fmt.Sprintf(", %d from %.3f to %.3f s", n, first.Seconds(), last.Seconds())
		}
		n = 0
	}
	for _, at := range tr.lost() {
		if n > 0 && at-last > apart {
			flush()
		}
		if n == 0 {
			first = at
		}
		last = at
		n++
	}
	flush()
	return text
}

// A passage is what a trickle went through: an xdplog that came and went.
type passage struct {
	*trickle
	came, listens, ends, went time.Duration // since the trickle began
	says                      string
}

func (p *passage) String() string {
	return fmt.Sprintf("%v; came at %.3f, listened at %.3f, was told to end at %.3f, had at %.3f s", p.trickle,
		p.came.Seconds(), p.listens.Seconds(), p.ends.Seconds(), p.went.Seconds())
}

// through has a trickle go on while xdplog starts, runs and ends on right0. Of all that
// came in between its first event and its last, there is an event.
func (l *lab) through(t *testing.T, args ...string) *passage {
	t.Helper()
	const while = 600 * time.Millisecond
	p := &passage{trickle: l.trickle(t)}
	since := func() time.Duration { return time.Since(p.began) }
	time.Sleep(while)
	p.came = since()
	capture := l.xdplog(t, append(args, "udp", "dst", "port", fmt.Sprint(tricklePort))...)
	p.listens = since()
	time.Sleep(while)
	p.ends = since()
	end := capture.stop(t)
	p.went = since()
	time.Sleep(while)
	p.stop()
	p.says = end.stderr
	if n := uint64(len(end.lines)); n == 0 || end.counters.Captured != n || end.counters.Lost != 0 {
		t.Errorf("%d lines, and the counters are %+v", n, end.counters)
	}
	events := map[uint16]int{}
	var first, last uint16 = 1<<16 - 1, 0
	for _, line := range end.lines {
		number := parseEvent(t, line).SourcePort
		first, last = min(first, number), max(last, number)
		events[number]++
	}
	const edge = 32 // several queues keep no order: some may have come before the program did
	for number := int(first) + edge; number < int(last)-edge; number++ {
		number := uint16(number)
		if events[number] != p.received[number] {
			t.Errorf("datagram %d was received %d times, and has %d events", number-firstNumber, p.received[number], events[number])
			break
		}
	}
	return p
}
