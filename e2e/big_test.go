package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"github.com/vishvananda/netlink"
)

// TestBigTCP: segments that were never cut may be longer than 64 KiB. Files have what the
// kernel gives of them: at tc all, in XDP the first 65,535 bytes.
func TestBigTCP(t *testing.T) {
	const most, ofXDP, ofPerf = 190_000, 1<<16 - 1, 65_452
	for _, way := range ways[1:] { // natively a veth has its segments cut
		for _, v6 := range []bool{false, true} {
			lab := newLab(t)
			var lacks error
			enlarge := func(link netlink.Link) error {
				for _, set := range []func(netlink.Link, int) error{
					netlink.LinkSetGSOMaxSize, netlink.LinkSetGROMaxSize, netlink.LinkSetGSOIPv4MaxSize, netlink.LinkSetGROIPv4MaxSize,
				} {
					lacks = errors.Join(lacks, set(link, most))
				}
				return nil
			}
			lab.left.change(t, left(0), enlarge)
			lab.right.change(t, right(0), enlarge)
			if lacks != nil {
				t.Skipf("this kernel lacks BIG TCP: %v", lacks)
			}
			name := filepath.Join(t.TempDir(), "out.pcapng")
			capture := start(t, lab.right, append(slices.Clone(way.args), "-i", right(0), "--buffer", "32MiB", "-w", name, "-o", "none", "tcp dst port 80")...).listens(t)
			transfer := lab.stream(t, v6)
			for range 4 {
				transfer(2 << 20)
			}
			time.Sleep(100 * time.Millisecond)
			capture.stop(t)

			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			packets, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
			if err != nil {
				t.Fatal(err)
			}
			longest := 0
			for {
				data, info, err := packets.ReadPacketData()
				if err != nil {
					break
				}
				want := info.Length
				if way.name == "generic" && takesFrags(t) {
					want = min(want, ofXDP)
				}
				if strings.Contains(capture.stderr.String(), "transport perf") {
					want = min(want, ofPerf)
				}
				if len(data) != want {
					t.Fatalf("%s: the file has %d bytes of a packet of %d, want %d", way.name, len(data), info.Length, want)
				}
				longest = max(longest, info.Length)
			}
			if longest <= ofXDP {
				t.Skipf("this kernel sends no more than %d bytes at once", longest)
			}
		}
	}
}
