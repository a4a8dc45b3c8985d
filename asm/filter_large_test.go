package asm

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/internal/layout"
)

// TestFilterBeyondFirstBuffer loads from frames of several buffers: what the
// program can't reach itself it asks the kernel for.
func TestFilterBeyondFirstBuffer(t *testing.T) {
	frame := largeFrame(t)
	first := firstBuffer(t, frame)
	t.Logf("frame of %d bytes, %d of them in the first buffer", len(frame), first)
	end := len(frame)

	var expressions []string
	for _, size := range []int{1, 2, 4} {
		for _, offset := range []int{first - 5, first - 4, first - 3, first - 2, first - 1, first, first + 1, end - 5, end - 4, end - 3, end - 2, end - 1, end, 1 << 16, math.MaxUint32 >> 1} {
			expressions = append(expressions,
				fmt.Sprintf("ether[%d:%d] = %d", offset, size, big(frame, offset, size)),
				fmt.Sprintf("udp[%d:%d] & 0xffffffff != %d", offset-34, size, big(frame, offset, size)),
				fmt.Sprintf("not ip[%d + (ip[0] & 0):%d] = %d", offset-14, size, big(frame, offset, size)),
				fmt.Sprintf("udp[len - %d:%d] = %d", 34+end-offset, size, big(frame, offset, size)),
			)
		}
	}
	expressions = append(expressions,
		"ether[len - 1] = 0 or udp port 53", "ether[4294967295 - len] = 1 or udp",
		"udp[len] = 1 or udp", "ether[ether[5000:4]] >= 0 or udp",
		// 32 bits are too few for where these are: in none of the packet.
		"ip6[0 - len] >= 0 or udp", "ip[0 - ip[0]] >= 0 or udp", "udp[0 - (ip[0] & 0xf)] >= 0 and udp",
		// The first buffer has what was asked for before, and after.
		"udp[6000:4] >= 0 and udp port 53 and src host 192.0.2.1 and udp[5001] >= 0 and ip",
	)
	matched := 0
	for _, expression := range expressions {
		for _, noFrags := range []bool{false, true} {
			c := loadFilter(t, expression, noFrags)
			seen := math.MaxInt
			if noFrags {
				seen = first
			}
			for _, n := range []int{end, end - 1, end - 100, first + 1, first, first - 1} {
				if err := c.check(frame[:n], seen); err != nil {
					t.Fatal(err)
				}
			}
			matched += int(c.matched)
		}
	}
	t.Logf("%d expressions, %d matches", len(expressions), matched)
}

// big is a number in a frame, or 7 where that ends before.
func big(frame []byte, offset, size int) (n uint32) {
	if offset > len(frame)-size {
		return 7
	}
	for _, b := range frame[offset : offset+size] {
		n = n<<8 | uint32(b)
	}
	return n
}

// largeFrame is a UDP packet from 192.0.2.1:53 of as many bytes as the kernel
// takes, up to 9000.
func largeFrame(t *testing.T) []byte {
	t.Helper()
	c := loadFilter(t, "ip", false)
	for length := 9000; length > 5000; length -= 500 {
		frame := udpFrame(length)
		err := testRun(c.program, frame)
		if err == nil {
			return frame
		}
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EMSGSIZE) {
			t.Fatal(err)
		}
	}
	t.Skip("this kernel lacks test runs of packets of several buffers (Linux 5.18)")
	return nil
}

// udpFrame is a UDP packet over IPv4 from 192.0.2.1:53, without checksums.
func udpFrame(length int) []byte {
	frame := make([]byte, length)
	for i := range frame {
		frame[i] = byte(i*7 + i>>8)
	}
	copy(frame[12:], []byte{8, 0, 0x45, 0, byte((length - 14) >> 8), byte(length - 14), 0, 0, 0, 0, 64, layout.ProtoUDP, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7, 0, 53, 0x9c, 0x40})
	return frame
}

// firstBuffer is how much of a frame the kernel puts into its first buffer: its
// length for a program that knows of no other.
func firstBuffer(t *testing.T, frame []byte) int {
	t.Helper()
	low, high := shortestRun, len(frame)
	for low < high {
		middle := (low + high + 1) / 2
		matched, err := loadFilter(t, fmt.Sprintf("greater %d", middle), true).match(frame)
		if err != nil {
			t.Fatal(err)
		}
		if matched {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// TestFilterAtEverySplit: filters say of a frame what the evaluator says, wherever its
// first buffer ends, the empty one included.
func TestFilterAtEverySplit(t *testing.T) {
	needSplits(t, newMachine(t, Config{}))
	frames := newFrameMaker(1)
	expressions := maps.Clone(filterListings)
	for i, more := range []string{"udp[20:2] & 1 = 0", "ip[2:2] > 100", "icmp6[0] = 128", "ether host 02:00:00:00:00:01 or arp host 192.0.2.1", "tcp[13] & 2 != 0 or ether[20] = 7"} {
		expressions[fmt.Sprint("more ", i)] = more
	}
	for name, expression := range expressions {
		t.Run(name, func(t *testing.T) {
			c := loadFilter(t, expression, false)
			for range 300 {
				frame := frames.next()
				want := c.filter.Match(frame, len(frame))
				for first := range min(len(frame), 80) {
					context := xdpMD{DataEnd: uint32(first)}
					verdict, err := c.program.Run(&ebpf.RunOptions{Data: frame, Context: &context})
					if err != nil || verdict != xdpPass {
						t.Fatalf("%d bytes, %d of them in the first buffer: verdict %d, %v", len(frame), first, verdict, err)
					}
					before := c.matched
					if c.matched, err = c.countMatched(); err != nil {
						t.Fatal(err)
					}
					if got := c.matched-before == 1; got != want {
						t.Fatalf("%s\nmatches: kernel %v, evaluator %v, on %d bytes, %d of them in the first buffer\n%x\n%s", c.filter, got, want, len(frame), first, frame, c.listing())
					}
				}
			}
		})
	}
}

// TestFilterFirstBuffer loads from near headers where there is no copy of a packet's
// beginning to go on with.
func TestFilterFirstBuffer(t *testing.T) {
	frame := udpFrame(100)
	for _, expression := range []string{"udp[0:2] = 53", "arp host 192.0.2.1 or ip[8] = 64", "not tcp[13] & 2 != 0"} {
		c, err := newCompiled(Config{Filter: parseFilter(t, expression), FirstBuffer: true})
		if errors.Is(err, unix.EPERM) {
			t.Skipf("needs root: %v", err)
		}
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		for length := shortestRun; length <= len(frame); length++ {
			if err := c.check(frame[:length], math.MaxInt); err != nil {
				t.Error(err)
			}
		}
		c.close()
	}
}
