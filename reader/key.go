package reader

import "github.com/xdplog/xdplog/reader/tally"

// Row is what the packet adds to a count by a key. By MAC address it takes the
// packet's bytes, as from [Reader.ReadPackets].
func (p *Packet) Row(by tally.By) (row tally.Row) {
	row.Sum = tally.Sum{Packets: 1, Bytes: uint64(p.Length)}
	row.First, row.Last = p.Time, p.Time
	row.TCPFlags = p.TCPFlags
	key := &row.Key
	switch by {
	case tally.Source:
		key.Source = p.Source.Addr()
	case tally.Pair:
		key.Source, key.Destination = p.Source.Addr(), p.Destination.Addr()
	case tally.Conversation:
		p.protocol(key)
		p.vlans(key)
		key.Source, key.SourcePort = p.Source.Addr(), p.Source.Port()
		key.Destination, key.DestinationPort = p.Destination.Addr(), p.Destination.Port()
		key.HasPorts = p.HasPorts
		if key.Order() {
			row.Reversed = true
			row.Sum, row.Back = row.Back, row.Sum
			row.TCPFlags, row.BackTCPFlags = 0, row.TCPFlags
		}
	case tally.Port:
		p.protocol(key)
		key.EtherType = 0 // what is not IP has no port: it is one
		key.HasPorts, key.DestinationPort = p.HasPorts, p.Destination.Port()
	case tally.VLAN:
		p.vlans(key)
	case tally.MAC:
		const source, end = 6, 12 // in the Ethernet header
		if len(p.Data) >= end {
			key.MAC = [6]byte(p.Data[source:end])
		}
	case tally.Protocol:
		p.protocol(key)
	case tally.Prefix:
		key.Source = tally.Masked(p.Source.Addr())
	case tally.Verdict:
		key.Verdict = p.Verdict
	}
	return row
}

func (e *Event) protocol(key *tally.Key) {
	if key.IsIP = e.IPVersion != 0; key.IsIP {
		key.Protocol = e.Protocol
	} else {
		key.EtherType = e.EtherType
	}
}

func (e *Event) vlans(key *tally.Key) {
	key.VLANs = e.VLANs
	copy(key.VLAN[:], e.VLAN[:min(int(e.VLANs), len(e.VLAN))])
}
