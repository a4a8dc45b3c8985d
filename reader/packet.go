package reader

// Packet is an event with the bytes of its packet. A recorded one, for
// [Replay.Run], needs no more of the event than Time, Length and Interface.
type Packet struct {
	Event

	// Data is the packet from the Ethernet header on: all of it, which is
	// Length bytes, or what was kept of it. From [Reader.ReadPackets] that is
	// what [asm.Config.SnapLen] says, or none; and it is valid until the next
	// read.
	Data []byte

	// Dropped is how many packets that matched found no room in the buffer of the
	// packet's CPU, since the one before of its program from there, or were kept there and
	// written over, or too old. Those behind the
	// last packet are in the counters alone. Transport mmap says it where it carries
	// bytes, and perf where the collection has one program, but of what a CPU that came online
	// lost before it had its buffer.
	Dropped uint64

	// Queue is the number of the receive queue that the packet came by, from 1 on, where
	// transport mmap carries bytes; 0: it is not known.
	Queue uint16
}

// ReadPackets is [Reader.Read] with the bytes of the packets. They take some of
// the kernel's buffers, which fill the sooner. It returns early where packets
// are large.
func (r *Reader) ReadPackets(packets []Packet) (n int, err error) {
	return r.read(batch{packets: packets})
}
