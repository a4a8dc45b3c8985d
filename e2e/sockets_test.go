package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// eachMode runs a test natively and generically, as --mode has it.
func eachMode(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range []string{"native", "generic"} {
		t.Run(mode, func(t *testing.T) { test(t, mode) })
	}
}

// want fails the test unless these are the next events.
func (p *process) want(t testing.TB, texts ...string) {
	t.Helper()
	for i, text := range texts {
		if e := p.next(t); e.text != text {
			t.Fatalf("event %d of %d is\n\t%s, want\n\t%s", i+1, len(texts), e.text, text)
		}
	}
}

// What right0 receives of lab.udp with 18 bytes to port 53, and of lab.tcp to
// port 80.
var (
	udp4 = `"pkt_len":60,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":40000,"dest_ip":"192.0.2.2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":64`
	udp6 = `"pkt_len":80,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":40000,"dest_ip":"2001:db8::2","dest_port":53,"proto":"UDP","proto_number":17,"ttl":64`
	tcp4 = []string{
		`"pkt_len":74,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":50000,"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"02"`,
		`"pkt_len":66,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":50000,"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"10"`,
		`"pkt_len":66,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","src_port":50000,"dest_ip":"192.0.2.2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"14"`,
	}
	tcp6 = []string{
		`"pkt_len":94,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":50000,"dest_ip":"2001:db8::2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"02"`,
		`"pkt_len":86,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":50000,"dest_ip":"2001:db8::2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"10"`,
		`"pkt_len":86,"ether_type":34525,"ip_v":6,"src_ip":"2001:db8::1","src_port":50000,"dest_ip":"2001:db8::2","dest_port":80,"proto":"TCP","proto_number":6,"ttl":64,"tcp_flags":"14"`,
	}
)

// TestSockets is what most users do: 100 datagrams each over IPv4 and IPv6 and
// a TCP connection are exactly those events, and nothing is left behind.
func TestSockets(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.wantProgram(t, mode)

		lab.udp(t, 0, false, 53, 100, 18)
		lab.udp(t, 0, true, 53, 100, 18)
		lab.tcp(t, false, 80)
		lab.tcp(t, true, 80)

		for range 100 {
			capture.want(t, udp4)
		}
		for range 100 {
			capture.want(t, udp6)
		}
		capture.want(t, tcp4...)
		capture.want(t, tcp6...)

		end := capture.stop(t)
		lab.wantNoProgram(t)
		if len(end.lines) > 0 {
			t.Errorf("unexpected events: %q", end.lines)
		}
		var bytes uint64
		for _, text := range slices.Concat(slices.Repeat([]string{udp4}, 100), slices.Repeat([]string{udp6}, 100), tcp4, tcp6) {
			var length uint64
			if _, err := fmt.Sscanf(text, `"pkt_len":%d,`, &length); err != nil {
				t.Fatal(err)
			}
			bytes += length
		}
		if want := (counters{Seen: 206, Matched: 206, Captured: 206, MatchedBytes: bytes, CapturedBytes: bytes}); end.counters != want {
			t.Errorf("counters are %+v, want %+v", end.counters, want)
		}
	})
}

// TestEcho proves that what xdplog does not report works on beside it.
func TestEcho(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		lab.ping(t)
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4) // first: the echo request was none
		if end := capture.stop(t); end.counters.Seen != 2 || end.counters.Matched != 1 {
			t.Errorf("counters are %+v, want the echo request seen and not matched", end.counters)
		}

		capture = lab.xdplog(t, "--mode", mode, "--all")
		lab.ping(t)
		capture.want(t, `"pkt_len":48,"ether_type":2048,"ip_v":4,"src_ip":"192.0.2.1","dest_ip":"192.0.2.2","proto":"ICMP","proto_number":1,"ttl":64`)
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

func TestTwoInterfaces(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLabWith(t, labOptions{pairs: 2})
		capture := lab.xdplog(t, "-i", right(1), "--mode", mode)
		for i := range 2 {
			if p := lab.attached(t, right(i)); p.mode != mode {
				t.Errorf("%s carries %v, want a %s one", right(i), p, mode)
			}
			lab.udp(t, i, true, 53, 1, 18)
			e := capture.next(t)
			if got, want := e.Source, address(i, 1, true).String(); e.Interface != right(i) || got != want {
				t.Errorf("event is %v, want one from %s on %s", e, want, right(i))
			}
		}
		if end := capture.stop(t); end.counters.Captured != 2 {
			t.Errorf("counters are %+v, want those of both interfaces", end.counters)
		}
		lab.wantNoProgram(t)
	})
}

// TestJumbo runs natively where a packet does not fit into one page. Before
// Linux 5.18 there is no such thing, and auto gets generic.
func TestJumbo(t *testing.T) {
	modes := []string{"native", "generic", "auto"}
	frags := takesFrags(t)
	if !frags {
		lacks(t, nativeJumbo)
		modes = modes[1:]
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			lab := newLabWith(t, labOptions{mtu: 9000})
			capture := lab.xdplog(t, "--mode", mode)
			if mode == "generic" || !frags {
				lab.wantProgram(t, "generic")
			} else {
				lab.wantProgram(t, "native")
			}
			lab.udp(t, 0, false, 53, 1, 9000-20-8)
			lab.udp(t, 0, true, 53, 1, 9000-40-8)
			for range 2 {
				if e := capture.next(t); e.Length != 9014 {
					t.Errorf("length is %d, want 9014: %v", e.Length, e)
				}
			}
			capture.stop(t)
			lab.wantNoProgram(t)
		})
	}
}

// TestTransfer moves megabytes through a TCP connection, which uses all that
// the stack and the veth have to be fast, before, while and after xdplog is
// attached.
func TestTransfer(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		transfer := lab.stream(t, true)
		transfer(1 << 20)
		capture := lab.xdplog(t, "--mode", mode)
		transfer(8 << 20)
		if e := capture.next(t); e.Protocol != "TCP" || e.Port != 80 {
			t.Errorf("event is %v, want one of TCP to port 80", e)
		}
		capture.stop(t)
		lab.wantNoProgram(t)
		transfer(1 << 20)
	})
}

// TestEveryCPU receives on one CPU after the other.
func TestEveryCPU(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode)
		for _, cpu := range cpus(t) {
			if err := lab.left.do(pin(cpu)); err != nil {
				t.Fatal(err)
			}
			port := layers.UDPPort(20000 + cpu)
			lab.send(t, frame(ethernet(eth6), ipv6(protoUDP), udp(port, 53)))
			if e := capture.next(t); e.SourcePort != uint16(port) {
				t.Errorf("on CPU %d: event is %v, want one from port %d", cpu, e, port)
			}
		}
		capture.stop(t)
		lab.wantNoProgram(t)
	})
}

// TestAuto gets native where the driver can, and says so.
func TestAuto(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t)
	lab.wantProgram(t, "native")
	for _, word := range []string{right(0), "native", "received"} {
		if !capture.stderr.await(word) {
			t.Errorf("the start lines lack %q", word)
		}
	}
	capture.stop(t)
	lab.wantNoProgram(t)
}
