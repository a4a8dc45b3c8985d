package detail

// AppendDump appends the bytes of a packet as tcpdump does behind a line, whole
// lines of them: without the link-layer header, but for Options.Link.
func (o Options) AppendDump(b []byte, p Packet) []byte {
	if o.Dump == NoDump {
		return b
	}
	data := p.Data
	if o.Most > 0 {
		data = data[:min(o.Most, len(data))]
	}
	if !o.Link {
		frame := p.frame()
		behind := len(frame) - parse(frame).link // is the same at the end of both
		data = data[min(len(data), len(p.Data)-min(behind, len(p.Data))):]
	}
	if len(data) == 0 {
		return b
	}
	if o.Dump == ASCII {
		return appendASCII(b, data)
	}
	for at := 0; at < len(data); at += 16 {
		b = appendRow(b, at, data[at:min(at+16, len(data))], o.Dump == HexASCII)
	}
	return b
}

// appendRow appends up to 16 bytes:
//
//	0x0000:  4500 003c 1c46 4000 4006 b1e6 ac10 0a63  E..<.F@.@......c
func appendRow(b []byte, at int, row []byte, text bool) []byte {
	b = append(b, "\t0x"...)
	b = appendHex(b, uint64(at), 4)
	b = append(b, ": "...)
	start := len(b)
	for i, octet := range row {
		if i%2 == 0 {
			b = append(b, ' ')
		}
		b = append(b, digits[octet>>4], digits[octet&0xf])
	}
	if text {
		const width = 8 * len(" 0000")
		const spaces = "                                          "
		b = append(b, spaces[:width-(len(b)-start)+2]...)
		for _, octet := range row {
			if !graphic(octet) {
				octet = '.'
			}
			b = append(b, octet)
		}
	}
	return append(b, '\n')
}

func graphic(octet byte) bool { return '!' <= octet && octet <= '~' }

// appendASCII appends bytes as text, whose line ends are kept. What could command a
// terminal is a dot.
func appendASCII(b, data []byte) []byte {
	for i, octet := range data {
		switch {
		case octet == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case graphic(octet) || octet == ' ' || octet == '\t' || octet == '\n':
			b = append(b, octet)
		default:
			b = append(b, '.')
		}
	}
	return append(b, '\n')
}
