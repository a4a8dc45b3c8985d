package e2e

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
)

// hashless is what the first line says where no hashes are told.
const hashless = "hashes are not told here (--place tc has those that the stack knows)"

// hashOf is what an event says of its packet's hash; "": nothing.
func hashOf(e event) string {
	return regexp.MustCompile(`"hash":\d+(,"hash_over":\[[^]]*\])?`).FindString(e.text)
}

// tellsHash reports whether right0's driver tells programs of hashes.
func (l *lab) tellsHash(t testing.TB) (tells bool) {
	t.Helper()
	l.right.change(t, right(0), func(at netlink.Link) error {
		features, err := loader.DeviceFeatures(at.Attrs().Index)
		if errors.Is(err, loader.ErrNoNetdev) {
			return nil
		}
		tells = features.TellsHash()
		return err
	})
	return tells
}

// flowFrame is a datagram to a port.
func flowFrame(port int) []byte {
	return frame(ethernet(eth4), ipv4(protoUDP), udp(1234, layers.UDPPort(port)))
}

// TestHash: the packets of a flow have a hash in common, those of others have others, in every
// transport; where the driver tells none, the first line says so.
func TestHash(t *testing.T) {
	const flows = 16
	eachTransport(t, func(t *testing.T, transport asm.Transport) {
		for _, args := range [][]string{{}, {"--inner"}, {"-x"}, {"--mode", "generic"}} {
			t.Run(strings.Join(args, " "), func(t *testing.T) {
				lab := newLab(t)
				capture := lab.xdplog(t, append([]string{"--hash", "--transport", transport.String()}, args...)...)
				said := capture.stderr.String()
				told := strings.Contains(said, "(native XDP") && lab.tellsHash(t)
				if strings.Contains(said, hashless) == told {
					t.Errorf("it says, where hashes are told: %v\n%s", told, said)
				}
				seen := map[string]int{}
				for range 2 {
					for port := range flows {
						lab.send(t, flowFrame(1000+port))
						seen[hashOf(capture.next(t))]++
					}
				}
				for hash, n := range seen {
					if told && (!strings.HasSuffix(hash, `"hash_over":["l4"]`) || n%2 != 0) || !told && hash != "" {
						t.Errorf("%d packets with hash %q", n, hash)
					}
				}
				if told && len(seen) < flows/2 {
					t.Errorf("%d flows have %d hashes", flows, len(seen))
				}
				want := "0 of 32 events bear a hash"
				if told {
					want = "32 of 32 events bear a hash"
				}
				if end := capture.stop(t); !strings.Contains(end.stderr, want) {
					t.Errorf("at the end it does not say %q\n%s", want, end.stderr)
				}
				lab.wantNoProgram(t)
			})
		}
	})
	t.Run("in a tunnel", func(t *testing.T) {
		lab := newLab(t)
		if !lab.tellsHash(t) {
			lacks(t, "a veth that tells programs of hashes (Linux 6.7)")
			return
		}
		capture := lab.xdplog(t, "--hash", "--inner")
		for what, f := range encapsulated() {
			lab.send(t, f)
			if e := capture.next(t); hashOf(e) == "" || !strings.HasSuffix(e.text, what+"}") {
				t.Errorf("event is %v, want a hash in one that ends in %s", e, what)
			}
		}
		capture.stop(t)
	})
}

// TestHashAtTC: a connected socket's packets have a hash that it gave them, all the same.
func TestHashAtTC(t *testing.T) {
	for _, direction := range []string{"in", "out"} {
		t.Run(direction, func(t *testing.T) {
			lab := newLab(t)
			capture := lab.xdplog(t, "--hash", "--place", "tc", "--direction", direction, "udp")
			if said := capture.stderr.String(); strings.Contains(said, hashless) {
				t.Errorf("it says\n%s", said)
			}
			from, to := lab.left, netip.AddrPortFrom(address(0, 2, false), 4242)
			if direction == "out" {
				from, to = lab.right, netip.AddrPortFrom(address(0, 1, false), 4242)
			}
			err := from.do(func() error {
				sender, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
				if err != nil {
					return err
				}
				defer sender.Close()
				for sent := 0; sent < 3; {
					if _, err := sender.Write([]byte("data")); err == nil { // else the last one was refused: nobody listens
						sent++
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			first := hashOf(capture.next(t))
			if first == "" || strings.Contains(first, "over") {
				t.Errorf("hash %q", first)
			}
			for range 2 {
				if other := hashOf(capture.next(t)); other != first {
					t.Errorf("hash %q, and before %q", other, first)
				}
			}
			capture.stop(t)
		})
	}
}

// TestHashKept: packets that are kept keep their hashes.
func TestHashKept(t *testing.T) {
	needTransport(t, asm.Mmap)
	lab := newLab(t)
	if !lab.tellsHash(t) {
		lacks(t, "a veth that tells programs of hashes (Linux 6.7)")
		return
	}
	name := filepath.Join(t.TempDir(), "kept.pcapng")
	capture := lab.xdplog(t, "--hash", "--keep", "256KiB", "-w", name)
	lab.send(t, flowFrame(1), flowFrame(2), flowFrame(1))
	lab.udp(t, 0, false, 53, 1, 18) // received: all before it are, too
	capture.signal(t, unix.SIGUSR2)
	one, two, again := hashOf(capture.next(t)), hashOf(capture.next(t)), hashOf(capture.next(t))
	if one == "" || one == two || one != again {
		t.Errorf("hashes %q, %q and %q", one, two, again)
	}
	capture.stop(t)
}

// TestHashStays: a veth that is asked for a hash leaves it in the packet, for tc.
func TestHashStays(t *testing.T) {
	lab := newLab(t)
	if !lab.tellsHash(t) {
		lacks(t, "a veth that tells programs of hashes (Linux 6.7)")
		return
	}
	behind := lab.xdplog(t, "--hash", "--place", "tc")
	for _, args := range [][]string{{"--mode", "native"}, {"--mode", "native", "--hash"}} {
		capture := lab.xdplog(t, args...)
		lab.send(t, flowFrame(1))
		before, after := hashOf(capture.next(t)), hashOf(behind.next(t))
		if value, _, _ := strings.Cut(before, ","); value != after {
			t.Errorf("%v: at tc hash %q, natively %q", args, after, before)
		}
		capture.stop(t)
	}
	behind.stop(t)
}
