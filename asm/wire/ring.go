package wire

import "unsafe"

// Ring is the control page of a CPU's ring in shared memory. One program, the
// only one on its CPU, writes Head; one reader writes Tail and Wake. What each
// writes has cache lines of its own.
//
// Slots of [RecordSize] bytes follow the page, a power of two of them. Record n,
// counted from 0, is in slot n mod their number. One slot is always free: the
// program's, at Head. Records of [WideRecordSize] bytes have slots of that size.
//
// A reader loads Head (acquire), takes the records from Tail up to it, and then
// stores Tail (release). A Head that is further ahead than there are slots is
// nonsense: it takes nothing and goes on from there. To sleep it stores in Wake the
// Head at which it wants to be woken, looks at Head again, and waits for the ring
// buffer [DoorbellMap]. The program may have looked at Wake just before: so the first
// sleep after it was set has an end.
type Ring struct {
	Head uint64     // records published since the program was loaded
	Last uint64     // of a ring that is kept: bytes of the last entry; see [Entry]
	Hit  uint64     // of a ring that is kept: 1 or more where a packet came that ends the keeping
	_    [104]byte  // up to two cache lines: they are fetched in pairs
	Tail uint64     // records that the reader is done with
	Wake uint64     // the program rings the doorbell when Head gets here
	_    [3952]byte // up to the end of the page
}

// RingSize is the size of [Ring] in bytes.
const RingSize = int(unsafe.Sizeof(Ring{}))

// RingBytes is the size of a ring of so many slots.
func RingBytes(slots int) int { return RingSize + slots*RecordSize }

// RingSlots is the number of slots in a ring of so many bytes.
func RingSlots(bytes int) int { return (bytes - RingSize) / RecordSize }

// Entry precedes each record in a ring that carries packet bytes, in which Head, Tail
// and Wake count bytes: entry, record and as many bytes of the packet as [Entry.Size] says,
// up to a multiple of 8. An entry begins at its number modulo the ring's size, a power of
// two, and lies in one piece: behind the ring there is room for one that begins
// before its end. So much of the ring's beginning is then not used.
//
// A record of [WideRecordSize] bytes has its second half before the packet's bytes, and Size
// does not count it. The [EntrySize] bytes and the record at Head are always free: they are the program's.
type Entry struct {
	SizeQueue uint32 // see Size and Queue
	Lost      uint32 // lower half of Counters.Lost of the program and CPU, before this one
}

// Parts of [Entry.SizeQueue].
const (
	QueueShift = 20
	MaxQueue   = 1<<(32-QueueShift) - 1
)

// Size is how many bytes of the packet follow the record.
func (e *Entry) Size() int { return int(e.SizeQueue & (1<<QueueShift - 1)) }

// Queue is the number of the receive queue that the packet came by, from 1 on; 0: it is not
// known, or above [MaxQueue].
func (e *Entry) Queue() uint16 { return uint16(e.SizeQueue >> QueueShift) }

// In a ring that is kept ([ReaderKeep]) the program takes no notice of who reads, and
// writes over the oldest entries. In place of Lost an entry has how many bytes the one
// before it takes, and [Ring.Last] those of the last one: by these a reader finds its
// way back from Head, as far as the ring is long. Before, it stops the program by a Tail
// that is not 0: what then comes is lost, until Head, Last, Hit and Tail, in this order,
// are 0 again. Hit becomes 1 with a packet that the second filter finds, for which
// the doorbell rings once.

// EntrySize is the size of an [Entry] in bytes.
const EntrySize = int(unsafe.Sizeof(Entry{}))

// EntryBytes is how much of a ring an entry takes, with so many bytes of its packet.
func EntryBytes(size int) int { return (EntrySize + RecordSize + size + 7) &^ 7 }

// PacketRingBytes is the size of a ring of so many bytes for entries with up to so many
// bytes of packets.
func PacketRingBytes(bytes, snapLen int) int { return RingSize + bytes + EntryBytes(snapLen) }
