package e2e

import (
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// TestHardwareTimeOfCard: QEMU's igb stamps PTP's frames by a clock of its own, and at tc
// that is the time of their events; those of other frames are of the kernel's.
func TestHardwareTimeOfCard(t *testing.T) {
	card, ok := cards(t)["igb"]
	if !ok {
		t.Skip("this kernel lacks QEMU's igb: it is in guests for amd64 (make devices)")
	}
	lab := card.lab(t)
	stamp := func(filter int32) error {
		return lab.right.do(func() error {
			socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(socket)
			return unix.IoctlSetHwTstamp(socket, right(0), &unix.HwTstampConfig{Rx_filter: filter})
		})
	}
	idle := lab.xdplog(t, "--place", "tc", "--time", "hardware")
	if said := idle.stderr.String(); !strings.Contains(said, "until the device stamps packets: hwstamp_ctl -i right0 -r 1") {
		t.Errorf("before it stamps any, it says\n%s", said)
	}
	idle.stop(t)
	if err := stamp(unix.HWTSTAMP_FILTER_PTP_V2_L2_EVENT); err != nil {
		t.Fatalf("have the card stamp packets: %v", err)
	}
	defer stamp(unix.HWTSTAMP_FILTER_NONE)

	const ptp = layers.EthernetType(0x88f7)
	sync := gopacket.Payload(append([]byte{0, 2, 0, 44}, make([]byte, 40)...)) // a Sync of version 2 (IEEE 1588)
	capture := lab.xdplog(t, "--place", "tc", "--time", "hardware", "--all")
	said := capture.stderr.String()
	t.Log(strings.TrimSpace(said))
	if !strings.Contains(said, "hardware times are of PTP clock ") {
		t.Errorf("it does not say of which clock times are\n%s", said)
	}
	lab.sendTo(t, lab.wires[0].to, frame(ethernet(ptp), sync))
	lab.sendTo(t, lab.wires[0].to, marker())
	events := capture.untilMarker(t) // whose ages are plausible
	end := capture.stop(t)
	if len(events) != 1 || !strings.Contains(end.stderr, "1 of 2 events bear the device's time") {
		t.Errorf("events %v, and at the end\n%s", events, end.stderr)
	}
}
