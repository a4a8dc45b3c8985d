package run

import (
	"slices"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// portNames is a source that tells a format what the ports of bonds are called: when
// one receives its first packet, for ports come and go during a run.
type portNames struct {
	eventSource
	format format.Format
	bonds  []*loader.Attachment // whose ports run the program; none: nothing is looked at
	known  []int                // indexes of ports
}

// ReadPackets reads from the source, on the goroutine that the format is for.
func (p *portNames) ReadPackets(packets []reader.Packet) (int, error) {
	n, err := p.eventSource.ReadPackets(packets)
	if len(p.bonds) == 0 {
		return n, err
	}
	for i := range packets[:n] {
		if port := packets[i].Port; port != 0 && !slices.Contains(p.known, port) {
			p.name(port)
		}
	}
	return n, err
}

// name looks a port up, once. One that has gone already is called by its number.
func (p *portNames) name(port int) {
	p.known = append(p.known, port)
	for _, bond := range p.bonds {
		if name, ok := bond.Port(port); ok {
			p.format.AddInterface(names.Interface{Index: port, Name: name})
			return
		}
	}
}
