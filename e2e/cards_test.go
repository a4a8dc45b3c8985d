package e2e

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// cardsEnv says which NICs a guest has: MODEL=MAC,MAC and the next, the second that
// of the card at the other end of the wire.
const cardsEnv = "XDPLOG_E2E_CARDS"

// A card is a NIC of the guest's.
type card struct{ mac, sender net.HardwareAddr }

// cards are those that there are, by model.
func cards(t *testing.T) map[string]card {
	t.Helper()
	all := map[string]card{}
	for word := range strings.FieldsSeq(os.Getenv(cardsEnv)) {
		model, macs, _ := strings.Cut(word, "=")
		mac, sender, _ := strings.Cut(macs, ",")
		var c card
		var err, err2 error
		c.mac, err = net.ParseMAC(mac)
		c.sender, err2 = net.ParseMAC(sender)
		if err != nil || err2 != nil {
			t.Fatalf("%s has %q", cardsEnv, word)
		}
		all[model] = c
	}
	return all
}

// lab is one whose wire is the card's: right0 is the card, left0 the sender.
func (c card) lab(t *testing.T) *lab {
	t.Helper()
	needPrivilege(t)
	l := &lab{left: newThread(t, network), right: newThread(t, network)}
	w := wire{from: c.sender, to: c.mac}
	if err := takeCard(c.sender, l.left, left(0), 1, c.mac); err != nil {
		t.Fatalf("set up the sender: %v", err)
	}
	if err := takeCard(c.mac, l.right, right(0), 2, c.sender); err != nil {
		t.Fatalf("set up the card: %v", err)
	}
	if err := l.left.do(func() (err error) { w.packets, err = packetSocket(left(0), 0); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(w.packets) })
	l.wires = append(l.wires, w)
	if err := l.warmUp(0); err != nil {
		t.Fatal(err)
	}
	return l
}

// takeCard moves a card into a thread's namespace, as an end of pair 0. It goes back
// when that goes.
func takeCard(mac net.HardwareAddr, to *thread, name string, end byte, peer net.HardwareAddr) error {
	link, err := findCard(mac)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsPid(link, to.id); err != nil {
		return fmt.Errorf("move %s: %w", link.Attrs().Name, err)
	}
	return to.do(func() error {
		moved, err := netlink.LinkByName(link.Attrs().Name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetName(moved, name); err != nil {
			return fmt.Errorf("name it %s: %w", name, err)
		}
		return configure(name, 0, end, peer)
	})
}

// findCard waits for a card, as one at USB takes its time to come.
func findCard(mac net.HardwareAddr) (netlink.Link, error) {
	for begin := time.Now(); time.Since(begin) < timeout; time.Sleep(50 * time.Millisecond) {
		links, _ := netlink.LinkList() // which may be interrupted, as the last test's links go
		for _, link := range links {
			if slices.Equal(link.Attrs().HardwareAddr, mac) {
				return link, nil
			}
		}
	}
	return nil, fmt.Errorf("no link has the address %v", mac)
}
