// Package ipfix sends flows to a collector by IPFIX (RFC 7011), both directions of one in
// one record (RFC 5103).
//
// A collector is a stranger, who may be away or slow, and a run must not wait for him. So
// who has flows makes whole messages of them ([Exporter.Add]) and puts these into a queue
// with a bound; one goroutine sends them. What always holds: every flow is counted once, as
// sent or as not sent; the sequence numbers of a session count what was sent in it, without
// a gap; templates come first in a session, and over UDP again and again, for a collector
// may have been started after us.
//
// It imports the library's reader/flow and asm/wire.
package ipfix

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Port is what IANA has registered for IPFIX over UDP and TCP.
const Port = 4739

// A Target is where a collector listens.
type Target struct {
	Network string // udp or tcp
	Address string // host:port
}

func (t Target) String() string { return t.Network + "://" + t.Address }

var errTarget = errors.New("must be the address of a collector: udp://192.0.2.1:4739, tcp://[2001:db8::1]:4739, or a host, which is udp and port 4739")

// ParseTarget reads udp://HOST:PORT and tcp://HOST:PORT. Both the network and the port may
// be left out: they are udp and 4739.
func ParseTarget(s string) (Target, error) {
	t := Target{Network: "udp"}
	host := s
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			return t, errTarget
		}
		t.Network, host = u.Scheme, u.Host
	}
	if t.Network != "udp" && t.Network != "tcp" {
		return t, errTarget
	}
	if a, err := netip.ParseAddr(host); err == nil { // also of IPv6 without brackets
		t.Address = netip.AddrPortFrom(a, Port).String()
		return t, nil
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		if name, port, err = net.SplitHostPort(host + ":" + strconv.Itoa(Port)); err != nil {
			return t, errTarget
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !isHost(name) {
		return t, errTarget
	}
	t.Address = net.JoinHostPort(name, port)
	return t, nil
}

// isHost reports whether this may be an address, or a name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return s != ""
}

// Options say how flows are sent. Domain and Templates have useful zero values.
type Options struct {
	Target    Target
	Domain    uint32        // observation domain; 0: 1, for 0 stands for all of an exporter's
	Templates time.Duration // between templates over UDP; 0: DefaultTemplates

	// Say is told when the collector goes away and comes back; nil: nobody is.
	Say func(string)
}

// DefaultTemplates is between templates over UDP: so long a collector that was started
// after us understands nothing.
const DefaultTemplates = time.Minute

// Counts are what became of the flows that were added.
type Counts struct {
	Sent    uint64 // flows
	NotSent uint64 // flows
	Waiting uint64 // flows
	Bytes   uint64 // of messages that were sent
}
