// Package filter is the filter language: the words of pcap-filter(7), parsed
// into a syntax tree that is made to be compiled, and a plain-Go evaluator of
// that tree. It does no network I/O: an address is written, not looked up.
//
// # Language
//
// The grammar is libpcap's. Negation binds tightest; and and or bind alike, and
// to the left: tcp or udp and port 53 is (tcp or udp) and port 53. An id without
// qualifiers takes the last ones: tcp port 21 or 22. In arithmetic, % and ^ take
// the one operand before them and all that follows, so that len % 3 + 1 is
// len % 4: libpcap's grammar gives them no precedence. Names of services and
// protocols are built in, and those of the system's files count too; of a name
// that TCP alone or UDP alone has, port NAME is about that protocol.
//
// Words of pcap-filter(7) that are left out are refused by name, and what is
// refused for another reason says why. Beyond libpcap go only names with a
// minus in portrange, parentheses around ids in parentheses, and qualifiers
// inside parentheses that begin with an id: host A and (B or port 80).
//
// # Meaning
//
// A filter speaks of the decoded packet: up to two VLAN tags (0x8100, 0x88a8)
// are stepped over, and so are up to eight IPv6 extension headers (hop-by-hop,
// routing, destination options, fragment, AH). On a packet without either,
// every verdict is libpcap's. On one with them:
//
//   - The EtherType is the one behind the tags, and ip[…], ip6[…], arp[…] and
//     rarp[…] count from the header behind them. ether[…] counts from the
//     frame's first byte and is not shifted.
//   - vlan [id] is true of a packet that bears the tag, outer or inner, and
//     shifts nothing. ether proto 0x8100 and 0x88a8 are true of a packet that
//     bears such a tag.
//   - mpls, pppoes, geneve and vxlan shift nothing either: what else is asked is
//     about the outer headers, and of MPLS and PPPoE there are none. mpls N is
//     true of a packet with that label among the first three of its stack.
//   - The protocol of an IPv6 packet is what stands behind its extension
//     headers. A header that is cut ends the walk, and its own number is the
//     protocol. What stands behind the eighth is the protocol, whatever it is.
//   - The numbers of extension headers (0, 43, 44, 51, 60) ask whether the
//     packet bears such a header: ip6 proto 44 is every fragment, and ah finds
//     an authentication header in both versions. libpcap looks for them right
//     behind the IPv6 header.
//
// With [Options.Inner] and MatchInner all this is about the packet in a tunnel,
// where there is one: see [FindTunnel].
//
// Ports and the headers of tcp[…] and the like are not looked for in a later
// fragment. tcp[…], udp[…], sctp[…] and pim[…] are about both versions of IP,
// where libpcap's are about IPv4 alone: ip and tcp[13] & 2 != 0 is its
// tcp[13] & 2 != 0. As in libpcap, icmp[…], igmp[…], igrp[…] and vrrp[…] are
// about IPv4, icmp6[…] is about IPv6, and a relation that begins with one of
// all these is false of any other packet; see [Relation.Layers].
//
// A byte that is not there makes the whole filter false: see [Filter].
package filter
