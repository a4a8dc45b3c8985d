package e2e

import (
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm"
)

// TestConnectionAttempts shows the packets that open a connection to a net,
// and no other of the connection or to elsewhere.
func TestConnectionAttempts(t *testing.T) {
	eachMode(t, func(t *testing.T, mode string) {
		lab := newLab(t)
		capture := lab.xdplog(t, "--mode", mode, "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and dst net 192.0.2.0/24")
		lab.tcp(t, false, 80)
		lab.tcp(t, true, 80) // IPv6 is not in that net
		lab.udp(t, 0, false, 53, 1, 18)
		elsewhere := ipv4(layers.IPProtocolTCP)
		elsewhere.DstIP = stranger4
		lab.send(t, frame(ethernet(layers.EthernetTypeIPv4), elsewhere, syn(1, 2)))
		lab.tcp(t, false, 443)

		for _, port := range []uint16{80, 443} {
			if e := capture.next(t); e.Port != port || e.SourcePort != 50000 || !strings.Contains(e.text, `"tcp_flags":"02"`) {
				t.Errorf("event is %v, want the SYN to port %d", e, port)
			}
		}
		end := capture.stop(t)
		lab.wantNoProgram(t)
		if c := end.counters; len(end.lines) > 0 || c.Matched != 2 || c.Seen < 9 {
			t.Errorf("%d more events, counters %+v, want 2 matched of 9 and more", len(end.lines), c)
		}
	})
}

// TestConnectionAttemptsOfBothVersions shows those over IPv6, too.
func TestConnectionAttemptsOfBothVersions(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn")
	lab.tcp(t, true, 80)
	lab.tcp(t, false, 443)
	lab.tcp(t, true, 8080)
	for _, port := range []uint16{80, 443, 8080} {
		if e := capture.next(t); e.Port != port || !strings.Contains(e.text, `"tcp_flags":"02"`) {
			t.Errorf("event is %v, want the SYN to port %d", e, port)
		}
	}
	if end := capture.stop(t); len(end.lines) > 0 {
		t.Errorf("%d more events", len(end.lines))
	}
	lab.wantNoProgram(t)
}

// TestPortFilter goes by order: the packet that must not appear is sent first.
func TestPortFilter(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "udp", "dst", "port", "-c", "1", "53") // flags may stand anywhere
	lab.udp(t, 0, false, 54, 1, 18)
	lab.udp(t, 0, true, 53, 1, 18)
	if e := capture.next(t); e.Port != 53 {
		t.Errorf("first event is %v, want port 53", e)
	}
	if r := capture.wait(t); r.status != 0 {
		t.Errorf("status %d: %s", r.status, r.stderr)
	}
	lab.wantNoProgram(t)
}

// TestFilterUsage is said before anything is attached.
func TestFilterUsage(t *testing.T) {
	lab := newLab(t)
	for _, c := range []struct{ filter, word string }{
		{"tcp port htpt", "http"}, {"1 == 2", "rejects all packets"}, {"demmo", "xdplog demo"}, {"host example.com", "not an address"},
	} {
		complain(t, lab.right, 2, []string{c.word}, "-i", right(0), c.filter)
	}
	complain(t, lab.right, 2, []string{"--all"}, "-i", right(0), "--all", "tcp")
	lab.wantNoProgram(t)
}

// TestTransports sends 100,000 packets by each way in each mode: every one of
// them is delivered or counted as lost.
func TestTransports(t *testing.T) {
	const packets = 100_000
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		eachMode(t, func(t *testing.T, mode string) {
			lab := newLab(t)
			if transport == asm.Mmap && !hasLargeValues(t) {
				complain(t, lab.right, 1, []string{"buffer", "4 MiB", "ringbuf"}, "-i", right(0), "--transport", transport.String(), "--buffer", "16MiB")
				lacks(t, "buffers of 4 MiB and more for transport mmap")
				return
			}
			capture := lab.xdplog(t, "--mode", mode, "--transport", transport.String(), "--buffer", "16MiB")
			lab.burst(t, packets, marker())
			lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too

			end := capture.stop(t)
			lab.wantNoProgram(t)
			c := end.counters
			if c.Seen != packets+1 || c.Matched != packets+1 || c.Lost != 0 {
				t.Errorf("counters are %+v, want %d seen and matched, none lost", c, packets+1)
			}
			if got := uint64(len(end.lines)); got != c.Captured {
				t.Errorf("%d events came out, want the %d that were captured", got, c.Captured)
			}
			for _, line := range end.lines {
				parseEvent(t, line)
			}
		})
	})
}

// TestTransportFull has a reader that does not keep up: what is not delivered
// is counted.
func TestTransportFull(t *testing.T) {
	const packets = 50_000
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		lab := newLab(t)
		capture := launch(t, lab.right, command("-i", right(0), "-o", "json", "--transport", transport.String(), "--buffer", "64KiB")).listens(t)
		lab.burst(t, packets, marker())
		capture.read()
		end := capture.stop(t)
		lab.wantNoProgram(t)
		c := end.counters
		if c.Matched != packets || c.Lost == 0 || uint64(len(end.lines)) != c.Captured {
			t.Errorf("counters are %+v and %d events came out, want %d matched, some lost and as many out as captured", c, len(end.lines), packets)
		}
	})
}

// TestSampling reports one packet in ten: exactly, as all are received on one
// CPU, and about so by chance.
func TestSampling(t *testing.T) {
	const packets = 10_000
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		for _, flag := range []string{"--sample", "--sample-random"} {
			t.Run(flag, func(t *testing.T) {
				lab := newLab(t)
				capture := lab.xdplog(t, "--transport", transport.String(), flag, "10")
				lab.burst(t, packets, marker())
				end := capture.stop(t)
				lab.wantNoProgram(t)
				c := end.counters
				if c.Matched != packets || uint64(len(end.lines)) != c.Captured || c.SampledOut != packets-c.Captured {
					t.Errorf("counters are %+v and %d events came out", c, len(end.lines))
				}
				if size := uint64(len(marker())); c.MatchedBytes != packets*size || c.CapturedBytes != c.Captured*size {
					t.Errorf("counters are %+v of packets of %d bytes", c, size)
				}
				if flag == "--sample" && c.Captured != packets/10 || c.Captured < packets/20 || c.Captured > packets/5 {
					t.Errorf("%d of %d were captured, want one in 10", c.Captured, packets)
				}
			})
		}
	})
}

// TestClocks has events that are not old, whatever their time is from.
func TestClocks(t *testing.T) {
	for _, clock := range []string{"precise", "coarse", "none"} {
		t.Run(clock, func(t *testing.T) {
			lab := newLab(t)
			if clock == "coarse" && !hasCoarseTime(t) {
				complain(t, lab.right, 1, []string{"coarse", "Linux 5.11", "precise"}, "-i", right(0), "--time", clock)
				lacks(t, "coarse time stamps (Linux 5.11)")
				return
			}
			capture := lab.xdplog(t, "--time", clock)
			lab.udp(t, 0, false, 53, 1, 18)
			capture.want(t, udp4)
			capture.stop(t)
		})
	}
}
