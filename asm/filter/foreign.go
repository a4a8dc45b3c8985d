package filter

// foreign are words of other languages (nftables, iptables, display filters)
// and of everyday speech, and what to write for them here. What is in brackets, or ends
// with a flag, is for a comparison.
var foreign = map[string]string{
	"sport": "src port", "dport": "dst port", "srcport": "src port", "dstport": "dst port", "ports": "port",
	"saddr": "src host", "daddr": "dst host", "addr": "host", "address": "host", "subnet": "net", "network": "net",
	"hosts": "host", "nets": "net", "cidr": "net", "source": "src", "destination": "dst", "from": "src", "to": "dst",
	"eth": "ether", "ethernet": "ether", "mac": "ether host", "netmask": "mask", "protocol": "proto", "ethertype": "ether proto",
	"ipv4": "ip", "ip4": "ip", "ipv6": "ip6", "icmp4": "icmp", "icmpv4": "icmp", "icmpv6": "icmp6", "ping": "icmp or icmp6",
	"dns": "port 53", "tls": "tcp port 443", "ssl": "tcp port 443", "quic": "udp port 443", "dhcp": "udp port 67 or 68",
	"dhcpv6": "udp port 546 or 547", "mdns": "udp port 5353", "ssdp": "udp port 1900", "rip": "udp port 520",
	"gtp": "udp port 2152", "gtpu": "udp port 2152", "gtp-u": "udp port 2152", "gtpc": "udp port 2123", "gtp-c": "udp port 2123",
	"wireguard": "udp port 51820", "wg": "udp port 51820", "ipsec": "esp or ah or udp port 500 or 4500", "ike": "udp port 500 or 4500",
	"sit": "ip proto 41", "6in4": "ip proto 41", "lldp": "ether proto 0x88cc", "lacp": "ether proto 0x8809",
	"eapol": "ether proto 0x888e", "ptp": "ether proto 0x88f7 or udp port 319 or 320", "cdp": "ether host 01:00:0c:cc:cc:cc",

	"syn": "tcp[tcpflags] & tcp-syn", "fin": "tcp[tcpflags] & tcp-fin", "rst": "tcp[tcpflags] & tcp-rst", "reset": "tcp[tcpflags] & tcp-rst",
	"ack": "tcp[tcpflags] & tcp-ack", "psh": "tcp[tcpflags] & tcp-push", "push": "tcp[tcpflags] & tcp-push", "urg": "tcp[tcpflags] & tcp-urg",
	"syn-ack": synAck, "synack": synAck, "syn_ack": synAck, "tcp-syn-ack": synAck,
	"flags": "tcp[tcpflags], as in tcp[tcpflags] & tcp-syn != 0",
	"ttl":   "ip[8]", "hoplimit": "ip6[7]", "hop-limit": "ip6[7]", "tos": "ip[1]", "dscp": "ip[1] >> 2",
	"fragment": fragments, "fragments": fragments, "fragmented": fragments, "frag": fragments,
	"mf": "ip[6] & 0x20 != 0", "df": "ip[6] & 0x40 != 0",

	"size": "len", "than": "the number alone", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<=",
}

const (
	synAck    = "tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)"
	fragments = "ip[6:2] & 0x3fff != 0 or ip6 proto 44"
)

// beyond are words of other languages for what no filter here can say, and why.
var beyond = map[string]string{
	"contains": noSearch, "matches": noSearch, "payload": noSearch, "string": noSearch, "data": noSearch, "frame": noSearch,
	"ct": noState, "conntrack": noState, "state": noState, "established": noState, "related": noState, "stream": noState,
	"iif": onlyReceived, "iifname": onlyReceived, "oif": onlyReceived, "oifname": onlyReceived,
	"iface": onlyReceived, "interface": onlyReceived, "dev": onlyReceived, "device": onlyReceived,
	"pid": onlyPackets, "uid": onlyPackets, "process": onlyPackets, "cgroup": onlyPackets,
	"country": onlyPackets, "asn": onlyPackets,
}

const (
	noSearch    = "bytes are compared at their place, as in udp[8:4] = 0x12345678, and not searched"
	noState     = "a filter knows a packet, and not its connection; tcp[tcpflags] says how one begins and ends"
	onlyPackets = "a filter knows what is in a packet, and nothing else of it"
)

// tunnels are those that are looked into, and have no word that asks for them then: what
// foreign has for them, and the protocol's number, are about the packet inside.
var tunnels = map[string]bool{
	"gre": true, "ipip": true, "ipencap": true, "sit": true, "6in4": true, "gtp": true, "gtpu": true, "gtp-u": true,
}

// arpOperations are how tcpdump calls what ARP says.
var arpOperations = map[string]string{"request": "1", "who-has": "1", "reply": "2", "is-at": "2"}

func isNumberName(name string) bool {
	_, ok := namedNumbers[name]
	return ok
}

// fields are those of display filters (Wireshark, tshark -Y) that have words or
// numbers here.
var fields = map[string]string{
	"eth.addr": "ether host", "eth.src": "ether src host", "eth.dst": "ether dst host", "eth.type": "ether proto",
	"ip.addr": "host", "ip.src": "src host", "ip.dst": "dst host", "ip.host": "host",
	"ip.src_host": "src host", "ip.dst_host": "dst host", "ip.proto": "ip proto", "ip.ttl": "ip[8]", "ip.len": "ip[2:2]",
	"ip.id": "ip[4:2]", "ip.dsfield": "ip[1]", "ip.dsfield.dscp": "ip[1] >> 2", "ip.tos": "ip[1]",
	"ipv6.addr": "host", "ipv6.src": "src host", "ipv6.dst": "dst host", "ipv6.host": "host", "ipv6.nxt": "ip6 proto", "ipv6.hlim": "ip6[7]",
	"tcp.port": "tcp port", "tcp.srcport": "tcp src port", "tcp.dstport": "tcp dst port", "tcp.flags": "tcp[tcpflags]",
	"tcp.seq_raw": "tcp[4:4]", "tcp.ack_raw": "tcp[8:4]", "tcp.window_size_value": "tcp[14:2]",
	"udp.port": "udp port", "udp.srcport": "udp src port", "udp.dstport": "udp dst port", "udp.length": "udp[4:2]",
	"sctp.port": "sctp port", "sctp.srcport": "sctp src port", "sctp.dstport": "sctp dst port",
	"icmp.type": "icmp[icmptype]", "icmp.code": "icmp[icmpcode]", "icmpv6.type": "icmp6[icmp6type]", "icmpv6.code": "icmp6[icmp6code]",
	"arp.opcode": "arp[6:2]", "vlan.id": "vlan", "frame.len": "len", "vxlan.vni": "vxlan", "geneve.vni": "geneve", "mpls.label": "mpls",
	"tcp.flags.syn": "tcp[tcpflags] & tcp-syn", "tcp.flags.ack": "tcp[tcpflags] & tcp-ack", "tcp.flags.fin": "tcp[tcpflags] & tcp-fin",
	"tcp.flags.reset": "tcp[tcpflags] & tcp-rst", "tcp.flags.push": "tcp[tcpflags] & tcp-push", "tcp.flags.urg": "tcp[tcpflags] & tcp-urg",
}

// marks are characters that no filter has, and what to write for them.
var marks = map[rune]string{
	',': "a list is written with or, as in port 80 or 443",
	';': "a list is written with or, as in port 80 or 443",
	'{': "a list is written with or, as in port (80 or 443)",
	'"': "quotes are for the shell alone", '\'': "quotes are for the shell alone",
}
