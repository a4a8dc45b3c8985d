package capfile

import (
	"errors"
	"fmt"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
)

// An Interface is one that packets come from.
type Interface struct {
	names.Interface        // without a name: unknown
	Speed           uint64 // bits per second; 0: unknown
	Queues          int    // to receive; 0: unknown
	RawIP           bool   // its packets begin with their IP header

	recorded bool     // in a file, of which are:
	link     linkType // what its packets begin with
	options  []byte   // as this package writes them
}

func (i *Interface) linkType() linkType {
	if i.recorded {
		return i.link
	}
	if i.RawIP {
		return linkRaw
	}
	return linkEthernet
}

// written is an interface, and what was counted of it.
type written struct {
	Interface
	packets uint64  // in all files
	before  account // in files before this one
}

// account is what was counted up to a file's end.
type account struct {
	packets  uint64
	counters wire.Counters
}

// takes returns an error if packets of an interface have no place in the pcap file.
func (w *Writer) takes(number int) error {
	first, this := w.interfaces[0].linkType(), w.interfaces[number].linkType()
	if first == this {
		return nil
	}
	return fmt.Errorf("write %s: a pcap file is of one link type, this one of %v, and there are packets of %v: %w", w.out.file.Name(), first, this, ErrOneLinkType)
}

// ErrOneLinkType is why a packet has no place in a pcap file.
var ErrOneLinkType = errors.New("pcapng takes them all")
