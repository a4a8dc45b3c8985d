package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A function is an interface of a card that is shared out (SR-IOV): the physical function, or
// a virtual one.
type function struct {
	*thread // in whose network namespace it is
	name    string
	mac     net.HardwareAddr
	out     int // packet socket
}

// takeFunction has a function in a network namespace of its own, as right0.
func takeFunction(t *testing.T, mac, peer net.HardwareAddr) function {
	t.Helper()
	f := function{newThread(t, network), right(0), mac, -1}
	if err := takeCard(mac, f.thread, f.name, 2, peer); err != nil {
		t.Fatalf("set up a function: %v", err)
	}
	if err := f.do(func() (err error) { f.out, err = packetSocket(f.name, 0); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(f.out) })
	return f
}

// shareOut gives a card virtual functions, until the test ends, and returns their addresses.
func (c card) shareOut(t *testing.T, n int) (macs []net.HardwareAddr) {
	t.Helper()
	link, err := findCard(c.mac)
	if err != nil {
		t.Fatal(err)
	}
	device, err := filepath.EvalSymlinks("/sys/class/net/" + link.Attrs().Name + "/device")
	if err != nil {
		t.Fatal(err)
	}
	number := filepath.Join(device, "sriov_numvfs")
	if err := os.WriteFile(number, fmt.Append(nil, n), 0); os.IsNotExist(err) {
		t.Skip("this kernel lacks virtual functions of the card")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(number, []byte("0"), 0); err != nil {
			t.Errorf("take the virtual functions away: %v", err)
		}
	})
	for begin := time.Now(); len(macs) < n; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > timeout {
			t.Fatalf("there are %d virtual functions, want %d", len(macs), n)
		}
		macs = nil
		addresses, _ := filepath.Glob(device + "/virtfn*/net/*/address")
		for _, file := range addresses {
			text, _ := os.ReadFile(file)
			if mac, err := net.ParseMAC(strings.TrimSpace(string(text))); err == nil {
				macs = append(macs, mac)
			}
		}
	}
	return macs
}

// A flow is a frame's way between functions, or from the wire.
type flow struct {
	name     string
	from, to function
	dst      net.HardwareAddr
}

// crosses sends a datagram that is counted, of its own port, when others cross, which
// programs that come may have stopped for a while. It reports whether it did.
func (f flow) crosses(t *testing.T, port uint16) bool {
	t.Helper()
	in := -1
	if err := f.to.do(func() (err error) { in, err = packetSocket(f.to.name, unix.ETH_P_IP); return err }); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(in)
	tick := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick); err != nil {
		t.Fatal(err)
	}
	arrives := func(port uint16, within time.Duration, again bool) bool {
		packet := patch(patch(pairFrame(), 0, f.dst...), 6, f.from.mac...)
		packet = sumIPv4(patch(packet, 14+22, byte(port>>8), byte(port)), 14)
		buffer := make([]byte, 2048)
		for begin, sent := time.Now(), false; time.Since(begin) < within; {
			if !sent || again {
				unix.Write(f.from.out, packet) // an error while the link is away
				sent = true
			}
			n, _, err := unix.Recvfrom(in, buffer, 0)
			if err == nil && n >= 14+28 && binary.BigEndian.Uint16(buffer[14+22:]) == port {
				return true
			}
		}
		return false
	}
	const discard = 9
	return arrives(discard, timeout, true) && arrives(port, 2*time.Second, false)
}

// TestVirtualFunctions: what is seen of a card that is shared out, and what a program on one of
// its functions does to the others, is what docs/devices.md says.
func TestVirtualFunctions(t *testing.T) {
	c, there := cards(t)["igb"]
	if !there {
		t.Skip("this kernel lacks QEMU's igb: it is in guests for amd64 (make devices)")
	}
	macs := c.shareOut(t, 2)
	pf, other := takeFunction(t, c.mac, c.sender), takeFunction(t, macs[1], c.mac)
	shared := card{mac: macs[0], sender: c.sender}

	t.Run("itself", func(t *testing.T) {
		rows := nicRows(t)
		want := nicRowOf(t, rows, "igb, a virtual function")
		if got := shared.observe(t, want); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("row %+v, want %+v", got, want)
		}
	})
	t.Run("seen", func(t *testing.T) {
		lab := shared.lab(t)
		wire := function{lab.left, left(0), c.sender, lab.wires[0].packets}
		vf := function{lab.right, right(0), macs[0], -1}
		if err := vf.do(func() (err error) { vf.out, err = packetSocket(vf.name, 0); return err }); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(vf.out)
		all := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		flows := []flow{
			{"wire to PF", wire, pf, pf.mac},
			{"wire to VF", wire, vf, vf.mac},
			{"wire to all", wire, vf, all},
			{"PF to VF", pf, vf, vf.mac},
			{"VF to PF", vf, pf, pf.mac},
			{"VF to VF", other, vf, vf.mac},
		}
		for _, c := range []struct {
			on   function
			args string
			want []string // of which flows
		}{
			{pf, "--place xdp --mode native", []string{"wire to PF", "wire to all", "VF to PF"}},
			{pf, "--place xdp --mode generic", []string{"wire to PF", "wire to all", "VF to PF"}},
			{pf, "--place tc", []string{"wire to PF", "wire to all", "VF to PF"}},
			{pf, "--place tc --promiscuous", []string{"wire to PF", "wire to all", "VF to PF"}},
			{pf, "--direction out", []string{"PF to VF"}},
			{vf, "--place xdp --mode generic", []string{"wire to VF", "wire to all", "PF to VF", "VF to VF"}},
			{vf, "--place tc", []string{"wire to VF", "wire to all", "PF to VF", "VF to VF"}},
		} {
			capture := start(t, c.on.thread, append(strings.Fields(c.args), "-i", c.on.name, "-o", "json", "udp", "dst", "portrange", fmt.Sprintf("%d-%d", pairPort, pairPort+len(flows)))...).listens(t)
			if says := "virtual functions (2)"; strings.Contains(capture.stderr.String(), says) != (c.on.thread == pf.thread) {
				t.Errorf("it says\n%s", &capture.stderr)
			}
			for i, f := range flows {
				if !f.crosses(t, pairPort+uint16(i)) {
					t.Errorf("%s: does not cross while xdplog %s stands there", f.name, c.args)
				}
			}
			time.Sleep(300 * time.Millisecond)
			var got []string
			for _, line := range capture.stop(t).lines {
				got = append(got, flows[parseEvent(t, line).Port-pairPort].name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s %s: seen are %q, want %q", c.on.name, c.args, got, c.want)
			}
		}
		facts, _ := runCheck(t, pf.thread, nil, "-i", pf.name)
		if f := facts[pf.name+" virtual functions"]; f.Status != "no" || !strings.HasPrefix(f.Found, "2, ") {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("harm", func(t *testing.T) {
		lab := shared.lab(t)
		const while = 600 * time.Millisecond
		for _, mode := range []string{"auto", "native"} {
			tr := lab.trickle(t)
			time.Sleep(while)
			capture := start(t, pf.thread, "-i", pf.name, "--mode", mode, "-o", "none").listens(t)
			time.Sleep(while)
			capture.stop(t)
			time.Sleep(while)
			lost := len(tr.stop().lost())
			t.Logf("%s on the PF, and traffic to the VF: %v", mode, tr)
			if (lost > 0) != (mode == "native") {
				t.Errorf("%s on the PF: of what the VF is sent %d are lost", mode, lost)
			}
		}
	})
}
