package filter_test

// advised are mistakes that people bring along from other languages, or from
// how they would say it, and the filter that they are told to write.
var advised = []struct{ text, advice string }{
	// Masks where there are none, and nets with bits behind them.
	{`host 10.1.2.3/24`, `net 10.1.2.0/24`},
	{`host 10.1.2.3 mask 255.255.255.0`, `net 10.1.2.0/24`},
	{`src 10.1.2.3/24`, `src net 10.1.2.0/24`},
	{`host 224.0.0.1/32`, `host 224.0.0.1`},
	{`dst host 2001:db8::5/64`, `dst net 2001:db8::/64`},
	{`src net 10.0.0.0 255.0.0.0`, `src net 10.0.0.0/8`},
	{`net 10.1.0.0 0.0.255.255`, `net 10.1.0.0/16`},
	{`dst net 10.0.0.0 255.0.255.0`, `dst net 10.0.0.0 mask 255.0.255.0`},
	{`host 10.0.0.*`, `net 10.0.0`},
	{`net 10.*`, `net 10`},

	// Lists.
	{`port 80 443`, `port 80 or 443`},
	{`host 192.0.2.2 198.51.100.4`, `host 192.0.2.2 or 198.51.100.4`},
	{`host 2001:db8::1 2001:db8::2`, `host 2001:db8::1 or 2001:db8::2`},

	// Ports of addresses, and of protocols.
	{`dst 10.0.0.1:443`, `dst host 10.0.0.1 and dst port 443`},
	{`src host 10.0.0.1:443`, `src host 10.0.0.1 and src port 443`},
	{`host 10.0.0.1:443 and tcp`, `host 10.0.0.1 and port 443`},
	{`10.0.0.1:80`, `host 10.0.0.1 and port 80`},
	{`tcp 80`, `tcp port 80`},
	{`udp 53 or tcp`, `udp port 53`},
	{`tcp host 192.0.2.1`, `tcp and host 192.0.2.1`},
	{`udp src 192.0.2.1`, `udp and src host 192.0.2.1`},
	{`icmp dst host 2001:db8::1 or arp`, `icmp and dst host 2001:db8::1`},
	{`tcp net 10.0.0.0/8`, `tcp and net 10.0.0.0/8`},
	{`ip port 80`, `ip and port 80`},
	{`ip6 dst port https`, `ip6 and dst port https`},
	{`ip6 portrange 80-90`, `ip6 and portrange 80-90`},
	{`portrange 80:90`, `portrange 80-90`},
	{`portrange 80 - 90`, `portrange 80-90`},
	{`port 80-90`, `portrange 80-90`},

	// Signs.
	{`port = 80`, `port 80`},
	{`tcp port == 80`, `tcp port 80`},
	{`dst port != 80`, `not dst port 80`},
	{`dst port > 1023`, `dst portrange 1024-65535`},
	{`port >= 1024`, `portrange 1024-65535`},
	{`src port < 1024`, `src portrange 0-1023`},
	{`udp port <= 1023`, `udp portrange 0-1023`},
	{`port eq 80`, `port 80`},
	{`src == 10.0.0.1`, `src host 10.0.0.1`},
	{`host = 10.0.0.0/8`, `net 10.0.0.0/8`},
	{`ip6 proto = 6`, `ip6 proto 6`},
	{`vlan == 10`, `vlan 10`},
	{`vlan (10 or 20)`, `vlan 10 or vlan 20`},

	// Display filters.
	{`tcp.port == 80`, `tcp port 80`},
	{`udp.dstport != 53`, `not udp dst port 53`},
	{`tcp.srcport > 1023 && ip`, `tcp src portrange 1024-65535`},
	{`ip.src == 10.0.0.1`, `src host 10.0.0.1`},
	{`tcp and ip.addr eq 10.0.0.0/8`, `net 10.0.0.0/8`},
	{`ipv6.dst == 2001:db8::1`, `dst host 2001:db8::1`},
	{`eth.src == 02:00:00:00:00:01`, `ether src host 02:00:00:00:00:01`},
	{`vlan.id == 10`, `vlan 10`},
	{`ip.proto == 17`, `ip proto 17`},
	{`frame.len > 100`, `len > 100`},
	{`icmp.type == 8`, `icmp[icmptype] == 8`},
	{`arp.opcode == 1`, `arp[6:2] == 1`},
	{`tcp.flags.syn == 1`, `tcp[tcpflags] & tcp-syn != 0`},
	{`tcp.flags.syn == 0`, `tcp[tcpflags] & tcp-syn == 0`},
	{`tcp.flags.reset`, `tcp[tcpflags] & tcp-rst != 0`},

	// Names that stand alone.
	{`syn`, `tcp[tcpflags] & tcp-syn != 0`},
	{`tcp syn`, `tcp[tcpflags] & tcp-syn != 0`},
	{`tcp-syn`, `tcp[tcpflags] & tcp-syn != 0`},
	{`icmp-echo`, `icmp[icmptype] == icmp-echo`},
	{`icmp6-neighborsolicit or arp`, `icmp6[icmp6type] == icmp6-neighborsolicit`},
	{`dns`, `port 53`},
	{`tls and host 192.0.2.1`, `tcp port 443`},
	{`dhcp`, `udp port 67 or 68`},
	{`ping`, `icmp or icmp6`},
	{`ipv4`, `ip`},
	{`ipv6 and tcp`, `ip6`},
	{`icmpv6`, `icmp6`},
}
