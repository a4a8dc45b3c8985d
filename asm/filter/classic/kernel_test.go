package classic_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
)

// TestKernel runs programs on a pair of local datagram sockets, of which one drops what
// its filter does not match, and cuts the rest. It takes no rights, and no network.
func TestKernel(t *testing.T) {
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])

	expressions, frames := newExpressions(seed), newFrames(seed)
	const snapLen = 100
	buffer := make([]byte, 1<<16)
	matched := 0
	for range 300 {
		f := expressions.next()
		program := compile(t, f, classic.Options{SnapLen: snapLen})
		attach(t, pair[1], f, program)
		for range 100 {
			frame := frames.next()
			if len(frame) == 0 {
				continue
			}
			if err := unix.Send(pair[0], frame, 0); err != nil {
				t.Fatal(err)
			}
			n, _, err := unix.Recvfrom(pair[1], buffer, unix.MSG_DONTWAIT)
			if err != nil && !errors.Is(err, unix.EAGAIN) {
				t.Fatal(err)
			}
			got, want := err == nil, f.Match(frame, len(frame))
			if got != want {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s\n%v, the evaluator says %v, on %d bytes %x\n%s", seed, f, got, want, len(frame), frame, listing(program))
			}
			if !got {
				continue
			}
			matched++
			if n != min(snapLen, len(frame)) {
				t.Fatalf("%d bytes of %d", n, len(frame))
			}
		}
	}
	t.Logf("%d matches", matched)
}

// TestKernelTakes: what is long, and what uses extensions.
func TestKernelTakes(t *testing.T) {
	for name, test := range map[string]struct {
		expression string
		opts       classic.Options
	}{
		"beside": {"vlan 10 and not tcp port 80", classic.Options{TagBeside: true}},
		"hosts":  {lists()["hosts"], classic.Options{}},
		"rows":   {lists()["rows"], classic.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(socket)
			f := parse(t, test.expression)
			attach(t, socket, f, compile(t, f, test.opts))
		})
	}
}

func attach(t *testing.T, socket int, f *filter.Filter, program []bpf.Instruction) {
	t.Helper()
	raw, err := bpf.Assemble(program)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	if err := setFilter(socket, raw); err != nil {
		t.Fatalf("%s: attach %d instructions: %v", f, len(raw), err)
	}
}
