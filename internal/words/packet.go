package words

import "net/netip"

// AppendEndpoint appends an address, and its port where there is one.
func AppendEndpoint(b []byte, at netip.AddrPort, hasPort bool) []byte {
	if hasPort {
		return at.AppendTo(b)
	}
	return at.Addr().AppendTo(b)
}

// AppendTCPFlags appends the flags by tcpdump's letters, in its order.
func AppendTCPFlags(b []byte, flags uint8) []byte {
	const letters = "FSRP.UEW" // from the lowest bit up; "." is ACK
	if flags == 0 {
		return append(b, "[none]"...)
	}
	b = append(b, '[')
	for i := range len(letters) {
		if flags&(1<<i) != 0 {
			b = append(b, letters[i])
		}
	}
	return append(b, ']')
}
