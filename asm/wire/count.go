package wire

import "unsafe"

// Names of the maps of a count, see [CountRegion].
const (
	CountMap = "count"  // which of the two tables is written: an array of maps with one element
	TableA   = "rows_a" // at first
	TableB   = "rows_b"
)

// ReaderCount is the key of [ReaderMap] whose word says by what a program counts: a
// [CountBy] and 1; there is none where it counts nothing.
const ReaderCount uint32 = 1 << 30

// CountBy is what the rows of a count are told apart by.
type CountBy uint8

const (
	BySource       CountBy = iota // source address
	ByPair                        // source and destination address
	ByConversation                // addresses, ports, protocol and VLANs, both directions in one row
	ByPort                        // destination port, and protocol
	ByVLAN                        // VLAN ids
	ByMAC                         // source MAC address
	ByProtocol                    // IP protocol; of what is not IP the EtherType
	ByPrefix                      // source address: IPv4's first 24 bits, IPv6's first 48
	ByVerdict                     // what another XDP program decided

	CountBys // how many there are
)

// Words is how many 8-byte words the key has, as package asm writes them.
func (by CountBy) Words() int {
	switch by {
	case BySource, ByPrefix:
		return 3
	case ByPair:
		return 5
	case ByConversation:
		return 6
	}
	return 1
}

// CountRegion is what precedes the rows of one CPU in a table. A table is an array that
// is mapped into memory, with a region for each possible CPU: this, and a power of two
// of rows, of [CountBy.RowSize] bytes each.
//
// One program, the only one on its CPU, writes to the table that [CountMap] leads to. A
// reader that puts the other one there, and is told by the kernel that no program runs
// any more that began before (as it is by an update of an array of maps, since Linux
// 4.19), has the first for itself. It takes what the rows hold, sets their Meta to 0
// and the counts here, and so has nothing that is counted twice or not at all.
//
// A key is looked for in [CountProbes] rows, from the one on that its hash says, up to
// one that is not used. What finds no room there counts as other.
type CountRegion struct {
	Packets uint64 // that found no room
	Bytes   uint64 // in them
	_       [48]byte
}

// CountRegionSize is the size of [CountRegion] in bytes.
const CountRegionSize = int(unsafe.Sizeof(CountRegion{}))

// CountProbes is how many rows may be looked at for a key.
const CountProbes = 16

// CountRow is the beginning of a row. Words of the key follow, as many as
// [CountBy.Words] says, and [CountBack] where that is by conversation.
type CountRow struct {
	Meta    uint64 // see the parts below; 0: not used
	Packets uint64 // of a conversation: from the lower end to the higher
	Bytes   uint64 // of whole frames, without FCS
	First   uint64 // ns, by the program's clock; 0 without one
	Last    uint64
}

// CountBack is the other direction of a conversation.
type CountBack struct{ Packets, Bytes uint64 }

// Parts of [CountRow.Meta].
const (
	CountUsed         = 1 << 0
	CountBackFirst    = 1 << 1 // the first packet went from the higher end to the lower
	CountFlagsShift   = 8      // 8 bits: the TCP flags that were seen
	CountBackFlags    = 16     // 8 bits: the same of the other direction
	CountRowSize      = int(unsafe.Sizeof(CountRow{}))
	CountBackSize     = int(unsafe.Sizeof(CountBack{}))
	countRowAlignment = 64
)

// RowSize is the size of a row in bytes: one or two cache lines.
func (by CountBy) RowSize() int {
	size := CountRowSize + 8*by.Words()
	if by == ByConversation {
		size += CountBackSize
	}
	return (size + countRowAlignment - 1) / countRowAlignment * countRowAlignment
}

// RegionSize is the size in bytes of a region of so many rows.
func (by CountBy) RegionSize(rows int) int { return CountRegionSize + rows*by.RowSize() }

// RegionRows is how many rows a region of so many bytes has.
func (by CountBy) RegionRows(bytes int) int { return (bytes - CountRegionSize) / by.RowSize() }

// A key by address is the address, or both, as in [Record], and a word with
// [FlagIPv4] or [FlagIPv6], or 0 of what is not IP.

// Parts of a key of one word.
const (
	KeyIP        = 1 << 32 // ByProtocol: the rest is an IP protocol, not an EtherType
	KeyPortShift = 8       // ByPort: the protocol is below
	KeyFlagShift = 32      // ByPort: those of [KeyFlags] are above
	KeyTagsShift = 32      // ByVLAN: how many tags; below 16 bits for the outer id, 16 for the inner
)

// Parts of the last two words of a conversation's key, behind the addresses. Ports are in host byte order.
const (
	KeyLowPortShift  = 48 // of the end with the lower address, and the lower port where they are equal
	KeyHighPortShift = 32
	KeyProtocolShift = 24
	KeyOuterShift    = 12 // VLAN ids; 0 where there is no such tag

	KeyFlags          = FlagIPv4 | FlagIPv6 | FlagPorts
	KeyTagNumberShift = 30 // how many VLAN tags
	KeyEtherTypeShift = 32
)
