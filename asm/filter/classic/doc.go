// Package classic compiles filters to classic BPF, the machine of packet sockets
// (SO_ATTACH_FILTER), of capture libraries and of /dev/bpf: the language of package
// filter for programs that have nothing to do with XDP, and without libpcap.
//
// There is no record of a parser to ask, so the program begins with one: it steps over
// VLAN tags, finds out whether the packet is IPv4, IPv6, ARP or something else, walks
// IPv6 extension headers, and keeps in memory what the filter asks for. The filter is
// compiled for each of these kinds by itself. What is certain of a kind is not asked
// there, and a kind of which nothing can match is not decoded.
//
// # Contract
//
// The program is given a frame from its Ethernet header on, as a packet socket of type
// SOCK_RAW on an Ethernet interface is. It returns [Options.SnapLen] if the frame
// matches and 0 if it does not. So may the program: jump forward only, use A, X and
// M[0] to M[15], each after it was written, load at offsets below 2^31, and use the
// extensions for the frame's length and, with [Options.TagBeside], its VLAN tag. It has
// at most 4,096 instructions, which is what Linux takes (BPF_MAXINSNS).
//
// On a frame that is whole, or whose length is that of the bytes which are there, the
// verdict is that of [filter.Filter.Match]. A program may also be run on a frame that
// was cut, with a length that tells of more: there to ask for a byte that is missing,
// be it the parser that asks, is to return 0.
//
// Both of the language's meanings, see filter.Options, are in the filter's tree, which
// is all that is compiled. It imports packages filter and golang.org/x/net/bpf.
package classic
