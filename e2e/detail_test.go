package e2e

import (
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestDetails: what lines say beside the events comes out of packets' bytes, wherever
// the program stands.
func TestDetails(t *testing.T) {
	arp := frame(ethernet(layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: []byte{192, 0, 2, 1}, DstHwAddress: make([]byte, 6), DstProtAddress: []byte{192, 0, 2, 2},
	})
	tcp := frame(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolTCP), syn(1234, 80))
	tagged := frame(ethernet(layers.EthernetTypeDot1Q), vlan(10, layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(1234, 53), gopacket.Payload("hello"))
	for _, place := range []string{"xdp", "tc"} {
		t.Run(place, func(t *testing.T) {
			lab := newLab(t)
			capture := start(t, lab.right, "-i", right(0), "--place", place, "--all", "-t", "-e", "-v", "-A").listens(t)
			lab.send(t, arp, tcp, tagged, marker())
			var lines []string
			for line := capture.line(t); !strings.Contains(line, ":9 > "); line = capture.line(t) {
				lines = append(lines, line)
			}
			got := strings.Join(lines, "\n")
			for _, want := range []string{
				right(0) + " 02:00:00:00:00:01 > 02:00:00:00:00:02, arp len 42 who-has 192.0.2.2 tell 192.0.2.1\n",
				" [S] ttl 61 len 54 dscp 0 id 0 seq 0 win 1024\n",
				" ttl 61 len 51 vlan 10 dscp 0 id 0\n",
				"....hello",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			capture.stop(t)
		})
	}
}
