// Package detail says what an event does not, out of the bytes of its packet: MAC
// addresses, the fields of headers that -v shows, hexadecimal dumps.
//
// A record has no room for more than nearly everybody wants, and a program that
// decoded more would cost every packet. So who wants more takes the packet's first
// bytes along, and they are decoded here, when a line is written. A packet may be cut
// anywhere, and anything may be in it: what is there is said, and no more; nothing is
// read beyond what was captured. It allocates nothing.
//
// It imports words.
package detail

// Options say what of a packet is wanted. The zero value is nothing.
type Options struct {
	Number  bool // which one it is, from 1 on
	Ether   bool // MAC addresses
	Verbose bool // more of the headers
	Dump    Dump
	Link    bool // the dump has the link-layer header, too
	Most    int  // bytes of a packet that are dumped; 0: all
}

// A Dump is how the bytes of a packet are written.
type Dump uint8

const (
	NoDump   Dump = iota
	ASCII         // as text
	Hex           // in hexadecimal
	HexASCII      // both
)

// Everything stands for all bytes of a packet.
const Everything = 1 << 18

// etherBytes and headerBytes are as many as the MAC addresses and, but for the
// longest, all headers have.
const (
	etherBytes  = ethernetHeader
	headerBytes = 256
)

// Bytes is how many bytes of each packet it takes.
func (o Options) Bytes() int {
	switch {
	case o.Dump != NoDump && o.Most > 0 && o.Verbose:
		return max(o.Most, headerBytes)
	case o.Dump != NoDump && o.Most > 0:
		return max(o.Most, etherBytes)
	case o.Dump != NoDump:
		return Everything
	case o.Verbose:
		return headerBytes
	case o.Ether:
		return etherBytes
	}
	return 0
}

// A Packet is what there is of a packet's bytes.
type Packet struct {
	Data []byte // as captured, maybe cut; none: nothing is known

	// Frame is an Ethernet frame that stands for the packet, where Data has no
	// Ethernet header: its MAC addresses are zero where they are not known.
	Frame []byte

	// Inside is where in the frame the packet begins that is spoken of, of one in a tunnel, and
	// InsideIP that it begins with its IP header. 0: it is the frame.
	Inside   int
	InsideIP bool
}

// frame is the packet from its Ethernet header on.
func (p Packet) frame() []byte {
	if p.Frame != nil {
		return p.Frame
	}
	return p.Data
}

// MACs are a packet's addresses of the link layer, each nil where it is not known.
func (p Packet) MACs() (source, destination []byte) {
	frame := p.frame()
	if len(frame) < 12 {
		return nil, nil
	}
	destination, source = frame[:6], frame[6:12]
	if p.Frame != nil { // whose zeros are nobody's address
		destination, source = known(destination), known(source)
	}
	return source, destination
}

func known(mac []byte) []byte {
	if [6]byte(mac) == [6]byte{} {
		return nil
	}
	return mac
}

// AppendMAC appends an address as 02:00:00:00:00:01.
func AppendMAC(b, mac []byte) []byte {
	for i, octet := range mac {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[octet>>4], digits[octet&0xf])
	}
	return b
}

const digits = "0123456789abcdef"
