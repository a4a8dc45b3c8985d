package filter

// builtInProtocols are the IANA keywords of IP protocols, lower case, and the
// names that protocols(5) has for them.
const builtInProtocols = `
ip 0 IP
hopopt 0 HOPOPT
icmp 1 ICMP
igmp 2 IGMP
ggp 3 GGP
ipencap 4 IP-ENCAP
ipv4 4
st 5 ST
tcp 6 TCP
cbt 7
egp 8 EGP
igp 9 IGP
nvp-ii 11
pup 12 PUP
argus 13
chaos 16
udp 17 UDP
mux 18
hmp 20 HMP
prm 21
xns-idp 22 XNS-IDP
leaf-1 25
leaf-2 26
rdp 27 RDP
irtp 28
iso-tp4 29 ISO-TP4
netblt 30
dccp 33 DCCP
xtp 36 XTP
ddp 37 DDP
idpr-cmtp 38 IDPR-CMTP
ipv6 41 IPv6
sdrp 42
ipv6-route 43 IPv6-Route
ipv6-frag 44 IPv6-Frag
idrp 45 IDRP
rsvp 46 RSVP
gre 47 GRE
dsr 48
esp 50 IPSEC-ESP
ah 51 IPSEC-AH
narp 54
mobile 55
min-ipv4 55
tlsp 56
skip 57 SKIP
ipv6-icmp 58 IPv6-ICMP
ipv6-nonxt 59 IPv6-NoNxt
ipv6-opts 60 IPv6-Opts
rspf 73 RSPF CPHB
vmtp 81 VMTP
eigrp 88 EIGRP
ospf 89 OSPFIGP
mtp 92
ax.25 93 AX.25
ipip 94 IPIP
etherip 97 ETHERIP
encap 98 ENCAP
pim 103 PIM
scps 105
ipcomp 108 IPCOMP
vrrp 112 VRRP
pgm 113
l2tp 115 L2TP
smp 121
sm 122
ptp 123
isis 124 ISIS
fire 125
crtp 126
sscopmce 128
iplt 129
sps 130
pipe 131
sctp 132 SCTP
fc 133 FC
mobility-header 135 Mobility-Header
udplite 136 UDPLite
mpls-in-ip 137 MPLS-in-IP
manet 138
hip 139 HIP
shim6 140 Shim6
wesp 141 WESP
rohc 142 ROHC
ethernet 143 Ethernet
aggfrag 144
nsh 145
`
