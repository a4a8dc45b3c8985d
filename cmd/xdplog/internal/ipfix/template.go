package ipfix

import "encoding/binary"

// A field is an information element of IANA's registry in a template.
type field struct {
	id, length uint16
	reverse    bool // of the direction from the server to the client
}

// reversePEN is the private enterprise number of reverse elements (RFC 5103, 6.1).
const reversePEN = 29305

// Information elements.
const (
	octetDeltaCount          = 1
	packetDeltaCount         = 2
	protocolIdentifier       = 4
	tcpControlBits           = 6
	sourceTransportPort      = 7
	sourceIPv4Address        = 8
	ingressInterface         = 10
	destinationTransportPort = 11
	destinationIPv4Address   = 12
	egressInterface          = 14
	sourceIPv6Address        = 27
	destinationIPv6Address   = 28
	exportedOctetTotalCount  = 40
	exportedMessageTotal     = 41
	exportedFlowRecordTotal  = 42
	vlanID                   = 58
	ipVersion                = 60
	flowDirection            = 61
	forwardingStatus         = 89
	flowEndReason            = 136
	exportingProcessID       = 144
	flowStartMilliseconds    = 152
	flowEndMilliseconds      = 153
	notSentFlowTotalCount    = 166
	notSentPacketTotalCount  = 167
	notSentOctetTotalCount   = 168
	biflowDirection          = 239
	ethernetType             = 256
	layer2OctetDeltaCount    = 352
)

// Identifiers of sets and templates. Data sets have that of their template.
const (
	templateSet        = 2
	optionsTemplateSet = 3

	firstTemplate   = 256
	statsTemplate   = 300
	statsFieldCount = 7
)

// A kind of flow has a template of its own.
type kind uint8

const (
	ipv4 kind = iota
	ipv4Both
	ipv6
	ipv6Both
	other // frames that are not IP
	kinds
)

func (k kind) id() uint16 { return firstTemplate + uint16(k) }

// common are the fields of every flow, and both what there are more of one that goes both
// ways. TCP's flags are one byte of two (RFC 7125, 3). Those of the reverse direction stand
// before the others, for nfdump 1.7 takes the last ones for the flow's.
var (
	addresses4 = []field{{id: sourceIPv4Address, length: 4}, {id: destinationIPv4Address, length: 4}}
	addresses6 = []field{{id: sourceIPv6Address, length: 16}, {id: destinationIPv6Address, length: 16}}
	transport  = []field{
		{id: sourceTransportPort, length: 2}, {id: destinationTransportPort, length: 2},
		{id: protocolIdentifier, length: 1}, {id: ipVersion, length: 1},
	}
	frames = []field{{id: ethernetType, length: 2}}
	both   = []field{
		{packetDeltaCount, 8, true}, {octetDeltaCount, 8, true}, {layer2OctetDeltaCount, 8, true}, {tcpControlBits, 1, true},
	}
	common = []field{
		{id: packetDeltaCount, length: 8}, {id: octetDeltaCount, length: 8}, {id: layer2OctetDeltaCount, length: 8}, {id: tcpControlBits, length: 1},
		{id: flowStartMilliseconds, length: 8}, {id: flowEndMilliseconds, length: 8},
		{id: ingressInterface, length: 4}, {id: egressInterface, length: 4}, {id: flowDirection, length: 1},
		{id: vlanID, length: 2}, {id: forwardingStatus, length: 1},
		{id: flowEndReason, length: 1}, {id: biflowDirection, length: 1},
	}
)

// fields are those of a kind, in the order of [shape.appendRecord].
func (k kind) fields() []field {
	var all []field
	switch k {
	case ipv4, ipv4Both:
		all = append(all, addresses4...)
	case ipv6, ipv6Both:
		all = append(all, addresses6...)
	}
	if k == other {
		all = append(all, frames...)
	} else {
		all = append(all, transport...)
	}
	if k == ipv4Both || k == ipv6Both {
		all = append(all, both...)
	}
	return append(all, common...)
}

func (k kind) length() (n int) {
	for _, f := range k.fields() {
		n += int(f.length)
	}
	return n
}

// appendTemplates appends the set of all templates of flows.
func appendTemplates(b []byte) []byte {
	b, start := beginSet(b, templateSet)
	for k := range kinds {
		fields := k.fields()
		b = binary.BigEndian.AppendUint16(b, k.id())
		b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
		b = appendFields(b, fields)
	}
	endSet(b, start)
	return b
}

// appendStatsTemplate appends the set of the exporter's own template.
func appendStatsTemplate(b []byte) []byte {
	b, start := beginSet(b, optionsTemplateSet)
	b = binary.BigEndian.AppendUint16(b, statsTemplate)
	b = binary.BigEndian.AppendUint16(b, statsFieldCount)
	b = binary.BigEndian.AppendUint16(b, 1) // of them are the scope
	b = appendFields(b, []field{
		{id: exportingProcessID, length: 4},
		{id: exportedMessageTotal, length: 8}, {id: exportedFlowRecordTotal, length: 8}, {id: exportedOctetTotalCount, length: 8},
		{id: notSentFlowTotalCount, length: 8}, {id: notSentPacketTotalCount, length: 8}, {id: notSentOctetTotalCount, length: 8},
	})
	endSet(b, start)
	return b
}

func appendFields(b []byte, fields []field) []byte {
	for _, f := range fields {
		if !f.reverse {
			b = binary.BigEndian.AppendUint16(b, f.id)
			b = binary.BigEndian.AppendUint16(b, f.length)
			continue
		}
		b = binary.BigEndian.AppendUint16(b, f.id|1<<15)
		b = binary.BigEndian.AppendUint16(b, f.length)
		b = binary.BigEndian.AppendUint32(b, reversePEN)
	}
	return b
}

// beginSet appends the header of a set, whose length is set by endSet.
func beginSet(b []byte, id uint16) (_ []byte, start int) {
	return binary.BigEndian.AppendUint32(b, uint32(id)<<16), len(b)
}

func endSet(b []byte, start int) {
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
}
