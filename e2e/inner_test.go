package e2e

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// encapsulated are a datagram from 192.0.2.11 in tunnels of all kinds, as gopacket writes them where it can.
func encapsulated() map[string][]byte {
	const datagramPort = 5353
	inside := func(link ...gopacket.SerializableLayer) []byte {
		ip := ipv4(layers.IPProtocolUDP)
		ip.SrcIP, ip.TTL = net.IPv4(192, 0, 2, 11), 7
		return frame(append(link, ip, udp(datagramPort, 53), gopacket.Payload("data"))...)
	}
	packet, whole := gopacket.Payload(inside()), gopacket.Payload(inside(ethernet(eth4)))
	udpTo := func(port layers.UDPPort, more ...gopacket.SerializableLayer) []byte {
		return frame(append([]gopacket.SerializableLayer{ethernet(eth4), ipv4(layers.IPProtocolUDP), udp(50000, port)}, more...)...)
	}
	return map[string][]byte{
		`"type":"vxlan","vni":42`:  udpTo(4789, &layers.VXLAN{ValidIDFlag: true, VNI: 42}, whole),
		`"type":"geneve","vni":43`: udpTo(6081, gopacket.Payload{1, 0, 0x65, 0x58, 0, 0, 43, 0, 0, 0, 0, 0}, whole),
		`"type":"gtpu","teid":44`:  udpTo(2152, gopacket.Payload(slices.Concat([]byte{0x30, 255}, binary.BigEndian.AppendUint16(nil, uint16(len(packet))), []byte{0, 0, 0, 44})), packet),
		`"type":"gre","key":45`:    frame(ethernet(eth4), ipv4(layers.IPProtocolGRE), &layers.GRE{KeyPresent: true, Key: 45, Protocol: eth4}, packet),
		`"type":"ipip"`:            frame(ethernet(eth4), ipv4(layers.IPProtocolIPv4), packet),
	}
}

// TestInner: with --inner the source is the inner packet's, in every transport and place, and
// without it the outer one's.
func TestInner(t *testing.T) {
	for _, place := range []string{"xdp", "tc"} {
		eachTransport(t, func(t *testing.T, transport asm.Transport) {
			t.Run(place, func(t *testing.T) {
				lab := newLab(t)
				capture := lab.xdplog(t, "--inner", "--place", place, "--transport", transport.String(), "udp")
				for what, f := range encapsulated() {
					lab.send(t, f)
					e := capture.next(t)
					if e.Source != "192.0.2.11" || e.Port != 53 || !strings.Contains(e.text, `"tunnel":{"src_ip":"`+stranger4.String()+`"`) || !strings.HasSuffix(e.text, what+"}") {
						t.Errorf("event is %v, want one that ends in %s", e, what)
					}
				}
				lab.send(t, frame(ethernet(eth4), ipv4(layers.IPProtocolUDP), udp(1, 4789), gopacket.Payload("no tunnel")))
				if e := capture.next(t); e.Source != stranger4.String() || strings.Contains(e.text, "tunnel") {
					t.Errorf("event is %v, want that of a datagram", e)
				}
				capture.stop(t)
			})
		})
	}
}

// TestInnerFilter: filters are about the inner packet, and vxlan about what it travels in.
func TestInnerFilter(t *testing.T) {
	lab := newLab(t)
	capture := lab.xdplog(t, "--inner", "src host 192.0.2.11 and (vxlan 42 or geneve) or udp port 9")
	for _, f := range encapsulated() {
		lab.send(t, f)
	}
	lab.send(t, marker())
	var got []string
	for _, e := range capture.untilMarker(t) {
		got = append(got, e.text[strings.Index(e.text, `"type"`):])
	}
	slices.Sort(got)
	if want := []string{`"type":"geneve","vni":43}`, `"type":"vxlan","vni":42}`}; !slices.Equal(got, want) {
		t.Errorf("events of %q, want %q", got, want)
	}
	capture.stop(t)
}

// TestInnerRead: both engines say the same of a file's tunnels, and -w writes packets whole.
func TestInnerRead(t *testing.T) {
	needPrivilege(t)
	var all []record
	for _, f := range encapsulated() {
		all = append(all, record{data: f, length: len(f)})
	}
	file := write(t, "tunnels.pcapng", all, true)
	var outputs [2]bytes.Buffer
	for i, engine := range []string{"go", "kernel"} {
		cmd := command("-r", file, "--inner", "--engine", engine, "-v", "src", "host", "192.0.2.11")
		cmd.Stdout = &outputs[i]
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(outputs[0].String(), " ttl 7 len "); n != len(all) || outputs[0].String() != outputs[1].String() {
		t.Errorf("of %d packets\n\tgo: %s\n\tkernel: %s", len(all), &outputs[0], &outputs[1])
	}
}

// TestInnerTop: tables are of who sends inside, live, where the program counts, and of a file.
func TestInnerTop(t *testing.T) {
	lab := newLab(t)
	capture := lab.top(t, "-o", "json", "--inner", "--interval", "100ms")
	var all []record
	var bytes uint64
	for _, f := range encapsulated() {
		lab.send(t, f)
		all = append(all, record{f, len(f)})
		bytes += uint64(len(f))
	}
	check := func(where, line string) {
		t.Helper()
		table := parseTop(t, line)
		if len(table.Rows) != 1 || table.Rows[0].Source != "192.0.2.11" || table.Total != (sum{uint64(len(all)), bytes}) {
			t.Errorf("%s: the table is %s, want %d packets of 192.0.2.11", where, line, len(all))
		}
	}
	end := capture.stop(t)
	check("live", end.lines[len(end.lines)-1])
	out, err := command("top", "-r", write(t, "tunnels.pcap", all, false), "--inner", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	printed := strings.Split(strings.TrimSpace(string(out)), "\n")
	check("file", printed[len(printed)-1])
}

// TestInnerOverlay: what the kernel itself puts into VXLAN is seen through it.
func TestInnerOverlay(t *testing.T) {
	lab := newLab(t)
	err := lab.left.do(func() error {
		link, err := netlink.LinkByName(left(0))
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "overlay0"
		vxlan := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: 77, Port: 4789, VtepDevIndex: link.Attrs().Index, Group: net.IPv4(192, 0, 2, 2), SrcAddr: net.IPv4(192, 0, 2, 1)}
		if err := netlink.LinkAdd(vxlan); err != nil {
			return err
		}
		address, err := netlink.ParseAddr("198.51.100.1/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(vxlan, address); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(vxlan); err != nil {
			return err
		}
		return netlink.NeighAdd(&netlink.Neigh{
			LinkIndex: vxlan.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(198, 51, 100, 2), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9},
		})
	})
	if err == unix.EOPNOTSUPP || err == unix.ENOENT {
		t.Skip("this kernel lacks vxlan devices")
	}
	if err != nil {
		t.Fatal(err)
	}
	capture := lab.xdplog(t, "--inner", "udp port 5353")
	err = lab.left.do(func() error {
		conn, err := net.Dial("udp", "198.51.100.2:5353")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("data"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := capture.next(t); e.Source != "198.51.100.1" || !strings.Contains(e.text, `"tunnel":{"src_ip":"192.0.2.1"`) || !strings.Contains(e.text, `"vni":77`) {
		t.Errorf("event is %v, want one from 198.51.100.1 in VXLAN 77", e)
	}
	capture.stop(t)
}
