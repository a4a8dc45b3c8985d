package filter

// namedNumbers are the names of offsets and values, as libpcap has them.
var namedNumbers = map[string]uint32{
	"tcpflags": 13,
	"tcp-fin":  0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08,
	"tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,

	"icmptype": 0, "icmpcode": 1,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5,
	"icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11,
	"icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,

	"icmp6type": 0, "icmp6code": 1,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
	"icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129,
	"icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
	"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
	"icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139,
	"icmp6-nodeinformationresponse": 140, "icmp6-ineighbordiscoverysolicit": 141,
	"icmp6-ineighbordiscoveryadvert": 142, "icmp6-multicastlistenerreportv2": 143,
	"icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145,
	"icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147,
	"icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
	"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152,
	"icmp6-multicastrouterterm": 153,
}

// protocolWord is a word that stands alone for a protocol, or before other
// qualifiers.
type protocolWord struct {
	alone Node  // what it means alone; nil for ether
	layer Layer // what word[…] counts from
	loads bool  // whether there is word[…]
}

var protocolWords = map[string]protocolWord{
	"ether": {nil, EtherLayer, true},
	"link":  {nil, EtherLayer, true}, // libpcap's synonym of ether
	"ip":    {EtherType{typeIPv4}, IPLayer, true},
	"ip6":   {EtherType{typeIPv6}, IP6Layer, true},
	"arp":   {EtherType{typeARP}, ARPLayer, true},
	"rarp":  {EtherType{typeRARP}, RARPLayer, true},
	"tcp":   {Proto{AnyIP, protoTCP}, TCPLayer, true},
	"udp":   {Proto{AnyIP, protoUDP}, UDPLayer, true},
	"sctp":  {Proto{AnyIP, protoSCTP}, SCTPLayer, true},
	"icmp":  {Proto{IPv4, protoICMP}, ICMPLayer, true},
	"igmp":  {Proto{IPv4, protoIGMP}, IGMPLayer, true},
	"icmp6": {Proto{IPv6, protoICMP6}, ICMP6Layer, true},
	"pim":   {Proto{AnyIP, protoPIM}, PIMLayer, true},
	"igrp":  {Proto{IPv4, protoIGRP}, IGRPLayer, true},
	"vrrp":  {Proto{IPv4, protoVRRP}, VRRPLayer, true},
	"carp":  {Proto{IPv4, protoVRRP}, VRRPLayer, true},
	"ah":    {Proto{AnyIP, protoAH}, 0, false},
	"esp":   {Proto{AnyIP, protoESP}, 0, false},
}

// otherWords are the rest of the keywords, which can't be names.
var otherWords = map[string]bool{
	"src": true, "dst": true, "host": true, "net": true, "mask": true, "port": true,
	"portrange": true, "proto": true, "and": true, "or": true, "not": true,
	"broadcast": true, "multicast": true, "vlan": true, "mpls": true,
	"pppoed": true, "pppoes": true, "geneve": true, "vxlan": true, "greater": true, "less": true,
	"len": true, "length": true,
}

// etherTypes are the names after ether proto.
var etherTypes = map[string]uint32{
	"ip": typeIPv4, "ip6": typeIPv6, "arp": typeARP, "rarp": typeRARP, "loopback": 0x9000,
}

func isKeyword(s string) bool {
	_, protocol := protocolWords[s]
	_, refused := unsupported[s]
	return protocol || refused || otherWords[s]
}

// Why words of pcap-filter(7) are refused.
const (
	onlyEthernet = "frames are Ethernet"
	onlyOuter    = "the headers inside are not decoded"
	onlyIP       = "of the network protocols, IP, ARP and RARP alone are decoded; ether proto tests any EtherType"
	onlyLLC      = "LLC headers are not decoded; ether[14] and what follows can be tested by number"
	onlyReceived = "which direction and interface is said beside the filter"
	onlyPF       = "it is about packets that a pf firewall logged"
)

// unsupported are the words of libpcap's language that are left out, and why.
var unsupported = map[string]string{
	"gateway":    "it needs names looked up; write ether host ADDRESS and not host ADDRESS",
	"protochain": "IPv6 extension headers are stepped over everywhere; write proto",
	"byte":       "write ether[N]",

	"fddi": onlyEthernet, "tr": onlyEthernet, "wlan": onlyEthernet, "ppp": onlyEthernet,
	"slip": onlyEthernet, "radio": onlyEthernet, "type": onlyEthernet, "subtype": onlyEthernet,
	"dir": onlyEthernet, "direction": onlyEthernet, "ra": onlyEthernet, "ta": onlyEthernet,
	"addr1": onlyEthernet, "addr2": onlyEthernet, "addr3": onlyEthernet, "addr4": onlyEthernet,
	"address1": onlyEthernet, "address2": onlyEthernet, "address3": onlyEthernet,
	"address4": onlyEthernet,
	"lane":     onlyEthernet, "metac": onlyEthernet, "bcc": onlyEthernet, "oam": onlyEthernet,
	"oamf4": onlyEthernet, "oamf4ec": onlyEthernet, "oamf4sc": onlyEthernet, "sc": onlyEthernet,
	"ilmic": onlyEthernet, "vpi": onlyEthernet, "vci": onlyEthernet, "connectmsg": onlyEthernet,
	"metaconnect": onlyEthernet,
	"fisu":        onlyEthernet, "lssu": onlyEthernet, "lsu": onlyEthernet, "msu": onlyEthernet,
	"hfisu": onlyEthernet, "hlssu": onlyEthernet, "hmsu": onlyEthernet, "sio": onlyEthernet,
	"opc": onlyEthernet, "dpc": onlyEthernet, "sls": onlyEthernet, "hsio": onlyEthernet,
	"hopc": onlyEthernet, "hdpc": onlyEthernet, "hsls": onlyEthernet,

	"batadv": onlyOuter,

	"atalk": onlyIP, "aarp": onlyIP, "decnet": onlyIP, "lat": onlyIP, "sca": onlyIP,
	"moprc": onlyIP, "mopdl": onlyIP,

	"llc": onlyLLC, "stp": onlyLLC, "ipx": onlyLLC, "netbeui": onlyLLC, "iso": onlyLLC,
	"esis": onlyLLC, "es-is": onlyLLC, "isis": onlyLLC, "is-is": onlyLLC, "l1": onlyLLC,
	"l2": onlyLLC, "iih": onlyLLC, "lsp": onlyLLC, "snp": onlyLLC, "csnp": onlyLLC,
	"psnp": onlyLLC, "clnp": onlyLLC,

	"inbound": onlyReceived, "outbound": onlyReceived, "ifindex": onlyReceived,

	"ifname": onlyPF, "on": onlyPF, "rset": onlyPF, "ruleset": onlyPF, "rnr": onlyPF,
	"rulenum": onlyPF, "srnr": onlyPF, "subrulenum": onlyPF, "reason": onlyPF, "action": onlyPF,
}
