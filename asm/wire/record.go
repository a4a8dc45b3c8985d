// Package wire defines the bytes that the XDP program and its reader share.
//
// It is the one place where they are defined: the program's stores take their
// offsets from the struct here, and so does the decoder beside it.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// Names of the maps by which the program and its reader meet.
const (
	EventsMap   = "events"   // records, one per captured packet; its type is the transport
	CountersMap = "counters" // one [Counters] per program and CPU, by [Record.Slot]
	DoorbellMap = "doorbell" // wakes a reader that sleeps
	AsleepMap   = "asleep"   // a word by which it says so; shared memory has its own, [Ring.Wake]
	ReaderMap   = "reader"   // words by the keys below
)

// Keys of [ReaderMap], whose values have 8 bytes in host byte order.
const (
	ReaderBuffer uint32 = iota // bytes of each CPU's perf buffer, as asked for; 0: as many as may be had
	ReaderOwner                // the process whose reader has the collection, as package reader tells processes apart; absent: none has
	ReaderHeir                 // the process that is about to take the place of an owner that is gone
	ReaderKeys                 // how many there are
)

// ReaderOffloads, and an interface's index, are the key of a word of offloads that the
// kernel switched off there when the program came, as ethtool numbers them.
const ReaderOffloads uint32 = 1 << 31

// ReaderSnapLen is the key of a word of a program whose ring in shared memory carries
// packet bytes: how many of each packet at most. There is none of other programs.
const ReaderSnapLen uint32 = 1<<30 + 1

// ReaderKeep is the key of a word of a program whose rings are kept: 1.
const ReaderKeep uint32 = 1<<30 + 2

// GraceMap is an array of maps with one element. An update of it returns when no program
// runs any more that began before (Linux 4.19).
const (
	GraceMap   = "grace"
	GraceInner = "grace_inner" // what the element is
)

// Record is what the program says of one packet: one cache line, no padding,
// every byte written before it is handed over.
//
// Scalars are in host byte order, ports among them; addresses are in network
// byte order. Packet bytes, where they were asked for, follow the record.
type Record struct {
	Time            uint64   // ns, CLOCK_MONOTONIC, when the program saw the packet; 0 of one without a clock; as told of a recorded one; see Stamp
	Source          [16]byte // IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2)
	Destination     [16]byte
	LengthSlot      uint32 // see Length and Slot
	Interface       uint32 // index of the interface that received it, or sends it
	SourcePort      uint16 // host order; 0 without FlagPorts
	DestinationPort uint16
	OuterVLAN       uint16 // VLAN id in the lower 12 bits, meaningful where Tags > 0, see also Packet; above: see Segments
	InnerVLAN       uint16 // the same, where Tags > 1
	EtherType       uint16 // host order, behind the tags; in an IEEE 802.3 frame the length that stands there
	Flags           Flags
	Protocol        uint8 // IANA protocol number, behind IPv6 extension headers
	TCPFlags        uint8 // 13th byte of the TCP header; meaningful with FlagTCP
	TTL             uint8 // IPv6: hop limit
	TagsFate        uint8 // see Tags, Direction and Verdict
}

// HardwareTime marks a [Record.Time] of the device's clock.
const HardwareTime = 1 << 63

// Stamp is the record's time without its mark, and whether that is of the device's clock:
// ns since whenever that began. It is of programs with such a clock alone.
func (r *Record) Stamp() (ns uint64, hardware bool) {
	return r.Time &^ HardwareTime, r.Time&HardwareTime != 0
}

// Parts of [Record.LengthSlot].
const (
	SlotShift = 24
	MaxLength = 1<<SlotShift - 1
)

// Length is the packet's, in bytes from the Ethernet header on, without FCS.
func (r *Record) Length() int { return int(r.LengthSlot & MaxLength) }

// Slot is the number of the program that made the record, among those of its
// collection.
func (r *Record) Slot() uint8 { return uint8(r.LengthSlot >> SlotShift) }

// Parts of [Record.OuterVLAN] and [Record.InnerVLAN]: each has half of the segments.
const (
	VLANMask     = 0xfff
	SegmentShift = 12 // the lower half is the outer's
	MaxSegments  = 255
)

// VLAN is the ids of the tags, outermost first.
func (r *Record) VLAN() [2]uint16 { return [2]uint16{r.OuterVLAN & VLANMask, r.InnerVLAN & VLANMask} }

// Segments is how many packets on the wire this one is, where the stack has merged
// what was received, or not yet cut what is sent; [MaxSegments] stands for more. 0
// is what came, or goes, as it is.
func (r *Record) Segments() uint8 {
	return uint8(r.OuterVLAN>>SegmentShift | r.InnerVLAN>>SegmentShift<<4)
}

// Parts of [Record.TagsFate].
const (
	TagsMask       = 0b11
	DirectionShift = 2 // 2 bits
	VerdictShift   = 4 // 3 bits
	TagBesideShift = 7 // see Packet
)

// Tags is the number of VLAN tags that were read, 0–2.
func (r *Record) Tags() uint8 { return r.TagsFate & TagsMask }

// Direction says whether the packet was received or is sent.
func (r *Record) Direction() Direction { return Direction(r.TagsFate >> DirectionShift & 0b11) }

// Verdict is what became of the packet.
func (r *Record) Verdict() Verdict { return Verdict(r.TagsFate >> VerdictShift & 0b111) }

// Flags say which parts of a [Record] mean something.
type Flags uint16

const (
	FlagIPv4     Flags = 1 << iota // a well-formed IPv4 header: addresses, Protocol and TTL are set
	FlagIPv6                       // the same of IPv6
	FlagFragment                   // a fragment other than the first: it has no ports
	FlagCut                        // the frame ends before the ports, or in a header before them: no ports
	FlagPorts                      // SourcePort and DestinationPort are set (TCP, UDP, SCTP)
	FlagTCP                        // TCPFlags is set

	// Extension headers of an IPv6 packet that were met before Protocol, which
	// is the last one's own number where that is cut.
	FlagHopByHop       // hop-by-hop options, 0
	FlagRouting        // routing, 43
	FlagFragmentHeader // fragment, 44: of the first fragment, a later one, or the only one
	FlagAuthentication // AH, 51; in IPv4 that is the Protocol
	FlagDestination    // destination options, 60

	flagsExtension = FlagHopByHop | FlagRouting | FlagFragmentHeader | FlagAuthentication | FlagDestination
	flagsKnown     = FlagIPv4 | FlagIPv6 | FlagFragment | FlagCut | FlagPorts | FlagTCP | flagsExtension
)

// RecordSize is the size of a [Record] in bytes.
const RecordSize = int(unsafe.Sizeof(Record{}))

// Offsets of the fields, for the decoder below.
const (
	offTime            = unsafe.Offsetof(Record{}.Time)
	offSource          = unsafe.Offsetof(Record{}.Source)
	offDestination     = unsafe.Offsetof(Record{}.Destination)
	offLengthSlot      = unsafe.Offsetof(Record{}.LengthSlot)
	offInterface       = unsafe.Offsetof(Record{}.Interface)
	offSourcePort      = unsafe.Offsetof(Record{}.SourcePort)
	offDestinationPort = unsafe.Offsetof(Record{}.DestinationPort)
	offOuterVLAN       = unsafe.Offsetof(Record{}.OuterVLAN)
	offInnerVLAN       = unsafe.Offsetof(Record{}.InnerVLAN)
	offEtherType       = unsafe.Offsetof(Record{}.EtherType)
	offFlags           = unsafe.Offsetof(Record{}.Flags)
	offProtocol        = unsafe.Offsetof(Record{}.Protocol)
	offTCPFlags        = unsafe.Offsetof(Record{}.TCPFlags)
	offTTL             = unsafe.Offsetof(Record{}.TTL)
	offTagsFate        = unsafe.Offsetof(Record{}.TagsFate)
)

// ErrShort is returned for fewer than [RecordSize] bytes.
var ErrShort = errors.New("record is cut short")

// Decode sets r from the first [RecordSize] bytes of b; further ones are
// allowed, as a perf sample ends in up to seven bytes of padding. It returns
// [ErrShort] for fewer bytes. It does not ask whether the fields agree with
// each other: see [Record.Check].
func (r *Record) Decode(b []byte) error {
	if len(b) < RecordSize {
		return fmt.Errorf("%w: %d bytes, want %d", ErrShort, len(b), RecordSize)
	}
	b = b[:RecordSize] // one bounds check for all that follows
	host := binary.NativeEndian
	r.Time = host.Uint64(b[offTime:])
	r.Source = [16]byte(b[offSource:])
	r.Destination = [16]byte(b[offDestination:])
	r.LengthSlot = host.Uint32(b[offLengthSlot:])
	r.Interface = host.Uint32(b[offInterface:])
	r.SourcePort = host.Uint16(b[offSourcePort:])
	r.DestinationPort = host.Uint16(b[offDestinationPort:])
	r.OuterVLAN = host.Uint16(b[offOuterVLAN:])
	r.InnerVLAN = host.Uint16(b[offInnerVLAN:])
	r.EtherType = host.Uint16(b[offEtherType:])
	r.Flags = Flags(host.Uint16(b[offFlags:]))
	r.Protocol = b[offProtocol]
	r.TCPFlags = b[offTCPFlags]
	r.TTL = b[offTTL]
	r.TagsFate = b[offTagsFate]
	return nil
}

// MinPacket is the least number of packet bytes that follow a record, where any
// do: more than the up to seven bytes of padding behind one without. No packet
// is shorter.
const MinPacket = 12

// Bytes of an Ethernet header before a tag, and of a tag.
const (
	addresses = 12
	tagLen    = 4
)

// MinTagged is MinPacket where tags may be beside packets: it has the tag and
// what precedes it.
const MinTagged = addresses + tagLen

// Packet returns the packet bytes in a sample that r was decoded from. There
// are none where the program was not asked for them.
//
// They are all of the packet, or end with the sample: the program sees to it
// that padding follows whole packets alone. A VLAN tag that was beside the packet
// stands before its bytes: Packet puts it in its place, so that a sample may be
// asked once. Where a packet has no tag OuterVLAN is 0, or how much of the sample is before
// the packet, as on some interfaces without Ethernet headers: Packet leaves that out, and makes
// it 0.
func (r *Record) Packet(sample []byte) []byte {
	if len(sample) < RecordSize+MinPacket {
		return nil
	}
	return r.packetIn(sample[RecordSize:])
}

// packetIn is the one call that Packet takes, which is inlined.
//
//go:noinline
func (r *Record) packetIn(behind []byte) []byte {
	if r.Tags() == 0 {
		behind = behind[min(len(behind), int(r.OuterVLAN&VLANMask)):]
		r.OuterVLAN &^= VLANMask
	}
	return r.PacketOf(behind[:min(len(behind), r.Length())])
}

// PacketOf is [Record.Packet] of the bytes behind a record, which are all of the packet.
func (r *Record) PacketOf(packet []byte) []byte {
	if r.TagsFate>>TagBesideShift != 0 && len(packet) >= addresses+tagLen {
		tag := [tagLen]byte(packet)
		copy(packet, packet[tagLen:][:addresses])
		copy(packet[addresses:], tag[:])
	}
	return packet
}

// Append appends the record's bytes to b: the inverse of [Record.Decode].
func (r *Record) Append(b []byte) []byte {
	host := binary.NativeEndian
	b = host.AppendUint64(b, r.Time)
	b = append(b, r.Source[:]...)
	b = append(b, r.Destination[:]...)
	b = host.AppendUint32(b, r.LengthSlot)
	b = host.AppendUint32(b, r.Interface)
	b = host.AppendUint16(b, r.SourcePort)
	b = host.AppendUint16(b, r.DestinationPort)
	b = host.AppendUint16(b, r.OuterVLAN)
	b = host.AppendUint16(b, r.InnerVLAN)
	b = host.AppendUint16(b, r.EtherType)
	b = host.AppendUint16(b, uint16(r.Flags))
	return append(b, r.Protocol, r.TCPFlags, r.TTL, r.TagsFate)
}
