package ipfix

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/flow"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":                  "udp://192.0.2.1:4739",
		"192.0.2.1:2055":             "udp://192.0.2.1:2055",
		"2001:db8::1":                "udp://[2001:db8::1]:4739",
		"[2001:db8::1]:2055":         "udp://[2001:db8::1]:2055",
		"[2001:db8::1]":              "udp://[2001:db8::1]:4739",
		"collector.example":          "udp://collector.example:4739",
		"collector.example:9995":     "udp://collector.example:9995",
		"udp://192.0.2.1":            "udp://192.0.2.1:4739",
		"tcp://192.0.2.1":            "tcp://192.0.2.1:4739",
		"tcp://[2001:db8::1]:2055":   "tcp://[2001:db8::1]:2055",
		"tcp://collector.example:80": "tcp://collector.example:80",
		"":                           "", "udp://": "", "sctp://192.0.2.1": "", "192.0.2.1:0": "", "192.0.2.1:65536": "", "192.0.2.1:x": "",
		"tcp://192.0.2.1/path": "", "tcp://user@192.0.2.1": "", "a b": "", ":4739": "", "https://192.0.2.1": "", "tcp://192.0.2.1:1:2": "",
	} {
		got, err := ParseTarget(text)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

// connection is a flow both ways.
func connection() flow.Flow {
	return flow.Flow{
		Client: netip.MustParseAddrPort("192.0.2.1:34990"), Server: netip.MustParseAddrPort("192.0.2.2:80"), HasPorts: true,
		IPVersion: 4, Protocol: 6, EtherType: 0x0800, VLAN: [2]uint16{10}, VLANs: 1, Interface: 2,
		ToServer: flow.Side{Packets: 6, Bytes: 480, TCPFlags: 0x1b}, ToClient: flow.Side{Packets: 5, Bytes: 400, TCPFlags: 0x13},
		Start: time.UnixMilli(0x1122334455).UTC(), End: time.UnixMilli(0x1122334456), State: flow.Closed, Verdict: wire.Drop,
	}
}

// TestMessage is the bytes by RFC 7011 and RFC 5103, written by hand.
func TestMessage(t *testing.T) {
	var m message
	m.reset()
	as := newShape()
	f := connection()
	if !m.add(&f, as) {
		t.Fatal("no room")
	}
	complete(m.b, time.Unix(0x01020304, 0), 7, 9)
	want := strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(`
		000a 0072 01020304 00000007 00000009
		0101 0062
		c0000201 c0000202 88ae 0050 06 04
		0000000000000005 0000000000000136 0000000000000190 13
		0000000000000006 0000000000000174 00000000000001e0 1b
		0000001122334455 0000001122334456
		00000002 00000000 00 000a 80 03 01`)
	if got := hex.EncodeToString(m.b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	template := strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(`
		0101 0017
		0008 0004 000c 0004 0007 0002 000b 0002 0004 0001 003c 0001
		8002 0008 00007279 8001 0008 00007279 8160 0008 00007279 8006 0001 00007279
		0002 0008 0001 0008 0160 0008 0006 0001 0098 0008 0099 0008 000a 0004 000e 0004 003d 0001 003a 0002 0059 0001 0088 0001 00ef 0001`)
	wanted, _ := hex.DecodeString(template)
	if all := appendTemplates(nil); !bytes.Contains(all, wanted) {
		t.Errorf("%x has no %x", all, wanted)
	}
}

// TestHeaderless: where there is no Ethernet header, all is the network's.
func TestHeaderless(t *testing.T) {
	as, f := newShape(), connection()
	if got := as.networkOctets(&f, f.ToServer); got != 480-6*18 {
		t.Errorf("%d octets", got)
	}
	as.headerless = []int{f.Interface}
	if got := as.networkOctets(&f, f.ToServer); got != 480 {
		t.Errorf("%d octets without an Ethernet header", got)
	}
}

// TestReason is the flowEndReason of each way to end.
func TestReason(t *testing.T) {
	for reason, want := range map[flow.Reason]byte{flow.Idle: 1, flow.Active: 2, flow.Reused: 3, flow.Full: 5, flow.Shutdown: 4} {
		if got := endReason(&flow.Flow{Reason: reason}); got != want {
			t.Errorf("%v: %d, want %d", reason, got, want)
		}
	}
	if got := endReason(&flow.Flow{State: flow.Closed}); got != 3 {
		t.Errorf("closed: %d", got)
	}
}

// made is a flow of any kind.
func made(r *rand.Rand) *flow.Flow {
	f := connection()
	f.ToServer = flow.Side{Packets: r.Uint64N(1 << 40), Bytes: r.Uint64N(1 << 50)}
	f.ToClient = flow.Side{Packets: r.Uint64N(1 << 40), Bytes: r.Uint64N(1 << 50)}
	switch r.IntN(4) {
	case 0:
		f.ToServer = flow.Side{}
	case 1:
		f.ToClient = flow.Side{}
	}
	switch r.IntN(5) {
	case 0:
		f.IPVersion, f.Client, f.Server = 0, netip.AddrPort{}, netip.AddrPort{}
	case 1, 2:
		f.IPVersion, f.Client, f.Server = 6, netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")
	}
	if f.IPVersion == 0 && f.ToServer.Packets == 0 {
		f.ToServer, f.ToClient = f.ToClient, f.ToServer
	}
	if f.IPVersion == 0 {
		f.ToClient = flow.Side{}
	}
	return &f
}

// listen is a UDP socket with room for what a test sends.
func listen(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(4 << 20)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func start(t *testing.T, o Options, network string, at net.Addr) *Exporter {
	t.Helper()
	o.Target = Target{network, at.String()}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// TestUDP: what is sent arrives, whole and in order, with templates again and again.
func TestUDP(t *testing.T) {
	conn := listen(t, "127.0.0.1:0")
	e := start(t, Options{Domain: 77, Templates: 10 * time.Millisecond}, "udp", conn.LocalAddr())
	r := rand.New(rand.NewPCG(1, 2))
	var packets, octets uint64
	const n = 5000
	for i := range n {
		f := made(r)
		packets += f.ToServer.Packets + f.ToClient.Packets
		octets += f.ToServer.Bytes + f.ToClient.Bytes
		e.AddPatiently(f, time.Second)
		if i%1000 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	e.Finish(5 * time.Second)
	if got := e.Counts(); got.Sent != n || got.NotSent != 0 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
	var c collector
	b := make([]byte, 65536)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	for len(c.records) < n {
		size, err := conn.Read(b)
		if err != nil {
			t.Fatalf("after %d flows: %v", len(c.records), err)
		}
		if size > maxMessage {
			t.Errorf("%d bytes", size)
		}
		if err := c.read(b[:size]); err != nil {
			t.Fatalf("message %d: %v", c.messages, err)
		}
	}
	gotPackets, gotOctets := c.sums()
	if gotPackets != packets || gotOctets != octets || c.domain != 77 {
		t.Errorf("%d packets and %d octets of domain %d, want %d and %d", gotPackets, gotOctets, c.domain, packets, octets)
	}
	if c.taught < 4 || len(c.stats) != c.taught {
		t.Errorf("templates came %d times, sums %d times", c.taught, len(c.stats))
	}
	last := c.stats[len(c.stats)-1]
	if last["42"] == 0 || last["42"] > n || last["166"] != 0 || last["144"] != uint64(os.Getpid()) {
		t.Errorf("%v", last)
	}
}

// TestLinger: a flow does not wait for others for long.
func TestLinger(t *testing.T) {
	conn := listen(t, "[::1]:0")
	e := start(t, Options{}, "udp", conn.LocalAddr())
	f := connection()
	e.Add(&f)
	e.Tick(time.Now())
	e.Tick(time.Now().Add(linger))
	var c collector
	b := make([]byte, 65536)
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for len(c.records) == 0 {
		size, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.read(b[:size]); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(c.records[0]); got != fmt.Sprint(record{
		"8": 0xc0000201, "12": 0xc0000202, "7": 34990, "11": 80, "4": 6, "60": 4, "2": 6, "1": 372, "352": 480, "6": 0x1b, "-2": 5, "-1": 310, "-352": 400, "-6": 0x13,
		"152": 0x1122334455, "153": 0x1122334456, "10": 2, "14": 0, "61": 0, "58": 10, "89": 0x80, "136": 3, "239": 1,
	}) {
		t.Error(got)
	}
}

// TestNobody: nobody listens, and nobody waits for it. All is counted as not sent.
func TestNobody(t *testing.T) {
	udp := listen(t, "127.0.0.1:0")
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp.Close()
	tcp.Close()
	for network, at := range map[string]net.Addr{"udp": udp.LocalAddr(), "tcp": tcp.Addr()} {
		var said []string
		heard := make(chan string, 100)
		e := start(t, Options{Say: func(line string) { heard <- line }}, network, at)
		const n = 30000 // more than the queue holds
		begun := time.Now()
		f := connection()
		for range n {
			e.Add(&f)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: adding took %v", network, took)
		}
		e.Finish(500 * time.Millisecond)
		close(heard)
		for line := range heard {
			said = append(said, line)
		}
		counts := e.Counts()
		if counts.Sent+counts.NotSent != n || counts.Waiting != 0 || counts.NotSent < n*99/100 {
			t.Errorf("%s: %+v", network, counts)
		}
		if len(said) != 1 || !strings.Contains(said[0], "does not take flows: connection refused") {
			t.Errorf("%s: said %q", network, said)
		}
	}
}

// TestTCP: a connection that ends is made again, with templates first and numbers from 0.
func TestTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	heard := make(chan string, 100)
	e := start(t, Options{Say: func(line string) { heard <- line }}, "tcp", listener.Addr())
	f := connection()
	const rounds, n = 4, 100
	for round := range rounds {
		for range n {
			e.AddPatiently(&f, time.Second)
		}
		e.hand(time.Second)
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var c collector
		conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if err := c.readStream(conn); !os.IsTimeout(err) {
			t.Fatalf("round %d: %v", round, err)
		}
		conn.Close()
		if c.taught != 1 || len(c.records) != n {
			t.Errorf("round %d: templates %d times, %d flows", round, c.taught, len(c.records))
		}
		time.Sleep(50 * time.Millisecond) // so that it is noticed
	}
	e.Finish(time.Second)
	if got := e.Counts(); got.Sent != rounds*n || got.NotSent != 0 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
	for range rounds - 1 {
		if line := <-heard; !strings.HasSuffix(line, "does not take flows: it has closed the connection; tries again") {
			t.Error(line)
		}
		if line := <-heard; !strings.HasSuffix(line, " is back") {
			t.Error(line)
		}
	}
}

// TestTCPStuck: a collector that takes nothing holds up nobody, not even the end.
func TestTCPStuck(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	e := start(t, Options{}, "tcp", listener.Addr())
	f := connection()
	const n = 200000
	for range n {
		e.Add(&f)
	}
	begun := time.Now()
	e.Finish(100 * time.Millisecond)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if got := e.Counts(); got.Sent+got.NotSent != n || got.NotSent == 0 {
		t.Errorf("%+v", got)
	}
}

// TestUnknown: a collector that can't be found is an error at the start.
func TestUnknown(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		if e, err := New(Options{Target: Target{network, "collector.invalid:4739"}}); err == nil {
			e.Close()
			t.Errorf("%s: no error", network)
		} else if !strings.HasPrefix(err.Error(), "find the collector "+network+"://collector.invalid:4739: ") {
			t.Error(err)
		}
	}
}

// TestAllocatesNothing once the messages are made.
func TestAllocatesNothing(t *testing.T) {
	conn := listen(t, "127.0.0.1:0")
	e := start(t, Options{}, "udp", conn.LocalAddr())
	f := connection()
	n := testing.AllocsPerRun(20000, func() { e.AddPatiently(&f, time.Second) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestUDPRestart: a collector that was started again gets templates before flows.
func TestUDPRestart(t *testing.T) {
	conn := listen(t, "127.0.0.1:0")
	at := conn.LocalAddr()
	conn.Close()
	e := start(t, Options{Templates: time.Hour}, "udp", at)
	f := connection()
	for range 5 {
		e.Add(&f)
		e.hand(0)
		time.Sleep(5 * time.Millisecond)
	}
	conn = listen(t, at.String())
	for range 5 {
		e.Add(&f)
		e.hand(0)
		time.Sleep(5 * time.Millisecond)
	}
	e.Finish(time.Second)
	var c collector
	conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	b := make([]byte, 65536)
	for begun := false; ; begun = true {
		size, err := conn.Read(b)
		if err != nil {
			break
		}
		if !begun { // numbers go on from where they were
			c.next = map[uint32]uint32{1: binary.BigEndian.Uint32(b[8:])}
		}
		if binary.BigEndian.Uint32(b[12:]) == 0 {
			continue
		}
		if err := c.read(b[:size]); err != nil {
			t.Fatal(err)
		}
	}
	counts := e.Counts()
	if c.taught == 0 || uint64(len(c.records)) != counts.Sent || counts.Sent < 4 || counts.Sent+counts.NotSent != 10 {
		t.Errorf("templates %d times, %d flows: %+v", c.taught, len(c.records), counts)
	}
}
