package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
)

// devicesFile has what is known of devices, a row each: what Linux 6.12 and 7.3 do.
const devicesFile = "testdata/devices.json"

// A deviceRow is what xdplog does and sees on one.
type deviceRow struct {
	Device string `json:"device"`
	About  string `json:"about,omitempty"` // what it means for users

	Native string `json:"native"` // yes, or the words of who refuses it
	Place  string `json:"place"`  // that auto takes
	Says   string `json:"says"`   // what the first line says beside that

	// What auto makes of a UDP datagram that is sent to the device: without a tag, and
	// with one of VLAN 10 in the frame.
	Plain  string `json:"plain"`
	Tagged string `json:"tagged"`
}

// A device is one in a lab: how it is made, called, and sent to.
type device struct {
	name string
	on   string // the interface to watch; "": right0
	make func(t *testing.T, lab *lab) (send func(frames ...[]byte))
}

// direct sends frames to an interface's own address.
func (l *lab) direct(t *testing.T, name string) func(frames ...[]byte) {
	mac := l.macOf(t, name)
	return func(frames ...[]byte) {
		for _, f := range frames {
			l.sendTo(t, mac, f)
		}
	}
}

func (l *lab) macOf(t *testing.T, name string) (mac net.HardwareAddr) {
	t.Helper()
	l.right.change(t, name, func(link netlink.Link) error { mac = link.Attrs().HardwareAddr; return nil })
	return mac
}

// stacked is a device of a kind above right0, of which on is watched.
func stacked(kind, on string) func(t *testing.T, lab *lab) func(frames ...[]byte) {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.stack(t, uppers[slices.IndexFunc(uppers, func(u upper) bool { return u.kind == kind })])
		return lab.direct(t, on)
	}
}

// overlay is a tunnel over right0 whose packets have Ethernet headers: port and header
// are what is before them.
func overlay(link func(netlink.LinkAttrs) netlink.Link, port layers.UDPPort, header []byte) func(t *testing.T, lab *lab) func(frames ...[]byte) {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.make(t, upper{kind: "overlay", link: link})
		mac := lab.macOf(t, above)
		return func(frames ...[]byte) {
			for _, f := range frames {
				outer := ipv4(protoUDP)
				outer.SrcIP = net.IPv4(192, 0, 2, 1)
				lab.sendTo(t, lab.wires[0].to, frame(ethernet(eth4), outer, udp(1234, port), gopacket.Payload(slices.Concat(header, patch(f, 0, mac...)))))
			}
		}
	}
}

// ipvlan is one on right0, in a mode.
func ipvlan(mode netlink.IPVlanMode) func(t *testing.T, lab *lab) func(frames ...[]byte) {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		lab.make(t, upper{kind: "ipvlan", link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.IPVlan{LinkAttrs: a, Mode: mode} }})
		lab.right.change(t, above, func(link netlink.Link) error {
			addr, err := netlink.ParseAddr("198.51.100.9/24")
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, addr)
		})
		return func(frames ...[]byte) {
			for _, f := range frames {
				at := bytes.Index(f, []byte{192, 0, 2, 2})
				f = patch(f, at, 198, 51, 100, 9)
				lab.sendTo(t, lab.wires[0].to, f)
			}
		}
	}
}

// tunneled is one of tunnels.
func tunneled(kind string) func(t *testing.T, lab *lab) func(frames ...[]byte) {
	return func(t *testing.T, lab *lab) func(frames ...[]byte) {
		receive := lab.tunnel(t, tunnels[slices.IndexFunc(tunnels, func(u tunnel) bool { return u.kind == kind })])
		return func(frames ...[]byte) { receive(frames[0]) } // a tag is nothing that it has
	}
}

// devices are those of which there are rows, in their order.
var devices = []device{
	{"veth", "", func(t *testing.T, lab *lab) func(...[]byte) { return lab.direct(t, right(0)) }},
	{"veth whose ingress tc redirects to an ifb", "", func(t *testing.T, lab *lab) func(...[]byte) { lab.shape(t); return lab.direct(t, right(0)) }},
	{"that ifb", "ifb0", func(t *testing.T, lab *lab) func(...[]byte) { lab.shape(t); return lab.direct(t, right(0)) }},
	{"bridge", above, stacked("bridge", above)},
	{"port of a bridge", "", stacked("bridge", above)},
	{"bond", above, stacked("bond", above)},
	{"port of a bond", "", stacked("bond", above)},
	{"team", above, stacked("team", above)},
	{"vlan", above, stacked("vlan", above)},
	{"macvlan", above, stacked("macvlan", above)},
	{"ipvlan l2", above, ipvlan(netlink.IPVLAN_MODE_L2)},
	{"ipvlan l3", above, ipvlan(netlink.IPVLAN_MODE_L3)},
	{"ipvlan l3s", above, ipvlan(netlink.IPVLAN_MODE_L3S)},
	{"vrf", above, func(t *testing.T, lab *lab) func(...[]byte) {
		lab.stack(t, upper{kind: "vrf", port: true, link: func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vrf{LinkAttrs: a, Table: 10} }})
		return lab.direct(t, right(0))
	}},
	{"vxlan", above, overlay(func(a netlink.LinkAttrs) netlink.Link {
		return &netlink.Vxlan{LinkAttrs: a, VxlanId: 5, Port: 4789}
	}, 4789, []byte{8, 0, 0, 0, 0, 0, 5, 0})},
	{"geneve", above, overlay(func(a netlink.LinkAttrs) netlink.Link {
		a.ParentIndex = 0
		return &netlink.Geneve{LinkAttrs: a, ID: 5, Dport: 6081, Remote: net.IPv4(192, 0, 2, 1)}
	}, 6081, []byte{0, 0, 0x65, 0x58, 0, 0, 5, 0})},
	{"tun", tunnelName, tunneled("tun")},
	{"ipip", tunnelName, tunneled("ipip")},
	{"gre", tunnelName, tunneled("gre")},
}

var listens = regexp.MustCompile(`listening on \S+ \(([^;)]*)(?:; ([^)]*(?:\([^)]*\)[^)]*)*))?\), received`)

// refused is before the words of who takes no native program.
const refused = "native XDP refused by driver: "

// observe is what a device does.
func (d device) observe(t *testing.T) (row deviceRow) {
	lab := newLab(t)
	send := d.make(t, lab)
	on := d.on
	if on == "" {
		on = right(0)
	}
	row.Device, row.Native = d.name, "yes"
	if end := start(t, lab.right, "-i", on, "--mode", "native", "-o", "none", "--duration", "100ms").wait(t); end.status != 0 {
		_, row.Native, _ = strings.Cut(strings.TrimSpace(end.stderr), on)
		row.Native = strings.TrimPrefix(strings.TrimLeft(row.Native, ":, "), refused)
	}
	capture := start(t, lab.right, "-i", on, "-o", "json", "--all").listens(t)
	said := listens.FindStringSubmatch(capture.stderr.String())
	if said == nil {
		t.Fatalf("it says\n%s", &capture.stderr)
	}
	row.Place = said[1]
	row.Says = strings.TrimPrefix(strings.TrimPrefix(said[2], refused+row.Native), "; ")
	row.Says = strings.TrimSuffix(strings.TrimSuffix(row.Says, hidden), "; ") // which is of kernels: see TestTagBeside

	const plain, tagged = 1001, 1002
	send(frame(ethernet(eth4), ipv4(protoUDP), udp(1234, plain)), frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, tagged)))
	time.Sleep(300 * time.Millisecond)
	end := capture.stop(t)
	events := map[uint16][]event{}
	for _, line := range end.lines {
		e := parseEvent(t, line)
		if e.Interface != on {
			t.Errorf("an event is of %s, not of %s", e.Interface, on)
		}
		events[e.Port] = append(events[e.Port], e)
	}
	row.Plain, row.Tagged = seen(events[plain]), seen(events[tagged])
	for _, name := range []string{on, right(0)} {
		if p := lab.attached(t, name); p.id != 0 {
			t.Errorf("%v is left on %s", p, name)
		}
	}
	return row
}

// seen is what events say of one packet.
func seen(events []event) string {
	switch len(events) {
	case 0:
		return "nothing"
	case 1:
		if strings.Contains(events[0].text, `"vlan":[10]`) {
			return "seen with its tag"
		}
		return "seen"
	}
	return fmt.Sprintf("seen %d times", len(events))
}

// TestDevices: what is known of devices is so.
func TestDevices(t *testing.T) {
	if major, minor := linux(t); major < 6 || major == 6 && minor < 1 {
		t.Skip("this kernel lacks rows: they are of Linux 6.1 and later")
	}
	for i, row := range deviceRows(t) {
		t.Run(row.Device, func(t *testing.T) {
			if i >= len(devices) || devices[i].name != row.Device {
				t.Fatalf("row %d is of no device that stands there", i)
			}
			got := devices[i].observe(t)
			got.About = row.About
			if got != row {
				text, _ := json.Marshal(got)
				t.Errorf("row %s", text)
			}
		})
	}
}

func deviceRows(t *testing.T) (rows []deviceRow) {
	t.Helper()
	content, err := os.ReadFile(devicesFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &rows); err != nil {
		t.Fatalf("%s: %v", devicesFile, err)
	}
	return rows
}

var updateDevices = flag.Bool("update-devices", false, "rewrite docs/devices.md from its rows")

// TestDevicesDoc: docs/devices.md has the table of rows.
func TestDevicesDoc(t *testing.T) {
	var table strings.Builder
	table.WriteString("| device | native | auto takes | a datagram | one with a tag | what it means |\n|---|---|---|---|---|---|\n")
	for _, r := range deviceRows(t) {
		native := "no"
		if r.Native == "yes" {
			native = "yes"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s |\n", r.Device, native, r.Place, r.Plain, r.Tagged, r.About)
	}
	devicesDocHas(t, "devices", table.String())
}

// devicesDocHas fails the test unless docs/devices.md has a table behind a mark, or
// puts it there.
func devicesDocHas(t *testing.T, mark, table string) {
	t.Helper()
	const name, end = "../docs/devices.md", "<!-- end -->\n"
	doc, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel lacks the docs: it is a guest's")
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- " + mark + " -->\n"
	head, rest, ok := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of %s", name, mark)
	}
	want := head + begin + table + end + tail
	if *updateDevices {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(doc) {
		t.Errorf("%s is not what the rows say: go test ./e2e -run '^Test(Devices|NICs)Doc$' -update-devices", name)
	}
}
