package e2e

import (
	"encoding/json"
	"net/netip"
	"testing"
)

// A conversation is what --flows -o json says of one.
type conversation struct {
	Type            string     `json:"event_type"`
	Source          netip.Addr `json:"src_ip"`
	SourcePort      uint16     `json:"src_port"`
	Destination     netip.Addr `json:"dest_ip"`
	DestinationPort uint16     `json:"dest_port"`
	Protocol        string     `json:"proto"`
	Flow            struct {
		ToServer      uint64 `json:"pkts_toserver"`
		ToClient      uint64 `json:"pkts_toclient"`
		BytesToServer uint64 `json:"bytes_toserver"`
		BytesToClient uint64 `json:"bytes_toclient"`
		State, Reason string
	} `json:"flow"`
	TCP struct {
		ToServer string `json:"tcp_flags_ts"`
		ToClient string `json:"tcp_flags_tc"`
	} `json:"tcp"`
}

func parseConversation(t testing.TB, line string) (c conversation) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &c); err != nil || c.Type != "flow" {
		t.Fatalf("%s: %v", line, err)
	}
	return c
}

// conversations are those of a process that has ended, whose packets and bytes are
// those that it captured.
func (r result) conversations(t testing.TB) (all []conversation) {
	t.Helper()
	var packets uint64
	for _, line := range r.lines {
		c := parseConversation(t, line)
		packets += c.Flow.ToServer + c.Flow.ToClient
		all = append(all, c)
	}
	if packets != r.counters.Captured || packets == 0 {
		t.Errorf("the flows have %d packets of %d", packets, r.counters.Captured)
	}
	return all
}

// TestFlows: both halves of a connection are one flow, and its end is seen.
func TestFlows(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--flows", "--direction", "inout", "tcp or udp")
	lab.tcp(t, false, 80)
	lab.udp(t, 0, true, 53, 5, 100)
	all := capture.stop(t).conversations(t)
	if len(all) != 2 {
		t.Fatalf("%d flows: %+v", len(all), all)
	}
	tcp, udp := all[0], all[1]
	if tcp.Protocol != "TCP" {
		tcp, udp = udp, tcp
	}
	if tcp.SourcePort != 50000 || tcp.DestinationPort != 80 || tcp.Flow.State != "closed" || tcp.Flow.Reason != "shutdown" ||
		tcp.Flow.ToServer != 3 || tcp.Flow.ToClient != 1 || tcp.TCP.ToServer != "16" || tcp.TCP.ToClient != "12" {
		t.Errorf("%+v", tcp)
	}
	if udp.Source != address(0, 1, true) || udp.DestinationPort != 53 || udp.Flow.ToServer != 5 || udp.Flow.BytesToServer != 5*(14+40+8+100) || udp.Flow.State != "new" {
		t.Errorf("%+v", udp)
	}
}

// TestFlowsInTime: a flow is printed when it has been idle, also where nothing more comes.
func TestFlowsInTime(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--flows", "--flow-idle", "1s")
	lab.udp(t, 0, false, 53, 3, 100)
	if c := parseConversation(t, capture.line(t)); c.Flow.ToServer != 3 || c.Flow.Reason != "timeout" {
		t.Errorf("%+v", c)
	}
	lab.udp(t, 0, false, 53, 2, 100)
	if all := capture.stop(t); len(all.lines) != 1 || parseConversation(t, all.lines[0]).Flow.ToServer != 2 || all.counters.Captured != 5 {
		t.Errorf("%+v", all)
	}
}

// TestFirst prints the first packet of each conversation, at once.
func TestFirst(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--first")
	lab.udp(t, 0, false, 53, 3, 100)
	lab.udp(t, 0, false, 54, 3, 100)
	for _, port := range []uint16{53, 54} {
		if e := capture.next(t); e.Port != port {
			t.Errorf("%+v, want port %d", e, port)
		}
	}
	if all := capture.stop(t); len(all.lines) != 0 || all.counters.Captured != 6 {
		t.Errorf("%+v", all)
	}
}
