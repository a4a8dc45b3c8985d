// Package flow puts events together to conversations: who spoke with whom, how many
// packets and bytes went each way, from when to when, and how it ended.
//
// A [Tracker] keeps the conversations that are open in a table of bounded size. Its
// clock is that of the events, so that the packets of a file make the same flows at
// any speed. What always holds: every packet is in exactly one flow, so that the
// packets of all flows are those that were added, also where the table was full; a
// packet of a known conversation allocates nothing.
//
// It imports reader and asm/wire.
package flow

import (
	"net/netip"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// A Flow is a conversation, both directions of it where both were seen: packets
// between two addresses and ports, of one protocol, in one VLAN and one overlay. Packets without
// ports, as later fragments, are flows of their own, and so are frames that are not
// IP, by their EtherType.
type Flow struct {
	// Client is who began: who sent the SYN, or else the first packet.
	Client, Server netip.AddrPort
	HasPorts       bool

	IPVersion uint8 // 4, 6, or 0 where it is not IP
	Protocol  uint8
	EtherType uint16
	VLAN      [2]uint16
	VLANs     uint8 // tags in VLAN, outermost first

	// Tunnel is the kind of tunnel that the packets travel in, where that is looked for, and VNI
	// the network identifier of VXLAN and Geneve.
	Tunnel wire.Tunnel
	VNI    uint32

	Interface int            // of the first packet
	Direction wire.Direction // of the first packet, where both are watched

	ToServer, ToClient Side
	Start, End         time.Time // of the first and the last packet
	Ended              time.Time // when that was found out
	State              State
	Reason             Reason

	// Verdict is what the program beside ours decided of the last packet, and
	// Verdicts how many packets had each; none: there is no such program.
	Verdict  wire.Verdict
	Verdicts [wire.Redirect + 1]uint64
}

// A Side is one direction of a flow.
type Side struct {
	Packets  uint64
	Bytes    uint64 // from the Ethernet header on, without FCS
	TCPFlags uint8  // of all packets together
}

// Tags are the ids of the VLAN tags, outermost first. They are f's own memory.
func (f *Flow) Tags() []uint16 { return f.VLAN[:f.VLANs] }

// State is how far a conversation has come.
type State uint8

const (
	// Unanswered is TCP without an ACK behind the SYNs, else packets of one end alone.
	Unanswered State = iota
	Established
	// Closed is TCP with a RST, or a FIN of each side that was seen.
	Closed
)

func (s State) String() string { return [...]string{"new", "established", "closed"}[s] }

// Reason is why a flow ended.
type Reason uint8

const (
	Idle     Reason = iota // no packet for too long
	Active                 // it has lasted too long: what follows is another flow
	Reused                 // a SYN began another one after its end
	Full                   // the table was full, and this one had been idle longest
	Shutdown               // the tracker was closed
)

// String is the word of Suricata's EVE where that has one.
func (r Reason) String() string {
	return [...]string{"timeout", "active_timeout", "tcp_reuse", "forced", "shutdown"}[r]
}
