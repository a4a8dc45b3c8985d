package e2e

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A flood is frames that the kernel makes itself, far faster than any socket
// sends them: a program run on live frames (BPF_F_TEST_XDP_LIVE_FRAMES, Linux
// 5.18) redirects every one into the left end of a pair, for the right end to
// receive on the same CPU.
//
// Where there are no live frames, the program that is attached to the right
// end is run without an interface (BPF_PROG_TEST_RUN).
type flood struct {
	lab   *lab
	pair  int
	frame []byte
	numbered
	thread    *thread
	generator *ebpf.Collection
	dry       *ebpf.Program // the attached program; nil where frames are live
	made      uint64
	refused   uint64 // by the right end, of anything, before the flood
}

// numbered is how many numbers the frames of a flood bear, one after the other and over
// again.
type numbered uint32

const (
	alike numbered = 0              // none
	each  numbered = math.MaxUint32 // each frame has its own
)

// The flood's program and map.
const (
	generatorName = "generator"
	sentMap       = "sent"
)

const (
	floodBatch = 64      // frames the kernel makes at a time: less than a veth's queue
	floodChunk = 1 << 20 // frames a system call: well below a second, a part of which is the set-up
)

// Places in a numbered frame: Ethernet, IPv6 and UDP. The number is in every
// part of the record that a frame can fill, so that no mixture of two records
// looks like one.
const (
	frameCPU         = 14 + 8 + 4  // in the source address: the CPU that made it, 4 bytes
	frameSource      = 14 + 8 + 8  // lower half of the address: the number
	frameDestination = 14 + 24 + 8 // lower half: its complement
	framePorts       = 14 + 40     // source: its lowest 16 bits; destination: the next ones
	frameEnd         = framePorts + 4
)

// floodFrame is a UDP datagram to port 53 in a frame of size bytes. It is for
// another host, as the receiving stack soonest throws away.
func floodFrame(size int, version layers.EthernetType) []byte {
	parts := []gopacket.SerializableLayer{ethernet(version), ipv4(layers.IPProtocolUDP), udp(40000, 53)}
	headers := 14 + 20 + 8
	if version == layers.EthernetTypeIPv6 {
		parts[1] = &layers.IPv6{
			Version: 6, HopLimit: 62, NextHeader: layers.IPProtocolUDP,
			SrcIP: net.ParseIP("2001:db8::"), DstIP: net.ParseIP("2001:db8:1::"),
		}
		headers = 14 + 40 + 8
	}
	f := frame(append(parts, gopacket.Payload(make([]byte, size-headers)))...)
	return patch(f, 0, 2, 0, 0, 0, 0xff, 0xff)
}

// flood prepares a flood on pair i by a thread on a CPU. Where the kernel has no
// live frames, a program must be attached by then, and stay.
func (l *lab) flood(t testing.TB, i, cpu int, frame []byte, number numbered) *flood {
	t.Helper()
	f := &flood{lab: l, pair: i, frame: append([]byte(nil), frame...), numbered: number}
	if number != alike {
		binary.BigEndian.PutUint32(f.frame[frameCPU:], uint32(cpu))
	}
	f.thread = newThread(t, steps(join(l.left), pin(cpu)))
	var to *net.Interface
	err := f.thread.do(func() (err error) { to, err = net.InterfaceByName(left(i)); return err })
	if err != nil {
		t.Fatalf("find %s: %v", left(i), err)
	}
	rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
	f.generator, err = ebpf.NewCollection(generator(to.Index, number))
	if err != nil {
		t.Fatalf("load the generator: %v", err)
	}
	t.Cleanup(f.generator.Close)
	if err := l.right.do(func() error { return useGRO(right(i)) }); err != nil {
		t.Fatal(err)
	}
	err = f.run(0)
	if errors.Is(err, unix.EINVAL) {
		f.dry, err = ebpf.NewProgramFromID(ebpf.ProgramID(l.attached(t, right(i)).id))
		if err == nil {
			t.Cleanup(func() { f.dry.Close() })
		}
	}
	if err != nil {
		t.Fatalf("prepare a flood: %v", err)
	}
	f.refused = l.refused(t, i)
	return f
}

// generator is the program that makes a flood into an interface. It drops the
// frame when as many as its map says have been made.
func generator(ifindex int, number numbered) *ebpf.CollectionSpec {
	const (
		xdpDrop = 1
		ctx     = bpf.R6
		seq     = bpf.R7 // number of this frame
	)
	insns := bpf.Instructions{
		bpf.Mov.Reg(ctx, bpf.R1),
		bpf.Mov.Imm(bpf.R0, 0),
		bpf.StoreMem(bpf.R10, -8, bpf.R0, bpf.Word),
		bpf.Mov.Reg(bpf.R2, bpf.R10),
		bpf.Add.Imm(bpf.R2, -8),
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(sentMap),
		bpf.FnMapLookupElem.Call(),
		bpf.JEq.Imm(bpf.R0, 0, "drop"),
		bpf.LoadMem(seq, bpf.R0, 0, bpf.DWord),
		bpf.LoadMem(bpf.R1, bpf.R0, 8, bpf.DWord),
		bpf.JGE.Reg(seq, bpf.R1, "drop"),
		bpf.Mov.Reg(bpf.R1, seq),
		bpf.Add.Imm(bpf.R1, 1),
		bpf.StoreMem(bpf.R0, 0, bpf.R1, bpf.DWord),
	}
	if number != alike {
		const frame, end = bpf.R2, bpf.R3
		insns = append(insns,
			bpf.LoadMem(frame, ctx, 0, bpf.Word), // xdp_md.data
			bpf.LoadMem(end, ctx, 4, bpf.Word),   // xdp_md.data_end
			bpf.Mov.Reg(bpf.R4, frame),
			bpf.Add.Imm(bpf.R4, frameEnd),
			bpf.JGT.Reg(bpf.R4, end, "drop"),
		)
		if number != each {
			insns = append(insns, bpf.Mov.Imm(bpf.R4, int32(number)), bpf.Mod.Reg32(seq, bpf.R4))
		}
		insns = append(insns,
			bpf.Mov.Reg(bpf.R4, seq),
			bpf.HostTo(bpf.BE, bpf.R4, bpf.DWord),
			bpf.StoreMem(frame, frameSource, bpf.R4, bpf.DWord),
			bpf.Xor.Imm(bpf.R4, -1),
			bpf.StoreMem(frame, frameDestination, bpf.R4, bpf.DWord),
			bpf.Mov.Reg(bpf.R4, seq),
			bpf.HostTo(bpf.BE, bpf.R4, bpf.Half),
			bpf.StoreMem(frame, framePorts, bpf.R4, bpf.Half),
			bpf.Mov.Reg(bpf.R4, seq),
			bpf.RSh.Imm(bpf.R4, 16),
			bpf.HostTo(bpf.BE, bpf.R4, bpf.Half),
			bpf.StoreMem(frame, framePorts+2, bpf.R4, bpf.Half),
		)
	}
	insns = append(insns,
		bpf.Mov.Imm(bpf.R1, int32(ifindex)),
		bpf.Mov.Imm(bpf.R2, 0),
		bpf.FnRedirect.Call(),
		bpf.Return(),
		bpf.Mov.Imm(bpf.R0, xdpDrop).WithSymbol("drop"),
		bpf.Return(),
	)
	return &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{
			sentMap: {Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1},
		},
		Programs: map[string]*ebpf.ProgramSpec{
			generatorName: {Name: generatorName, Type: ebpf.XDP, License: "MIT", Instructions: insns},
		},
	}
}

// quota is the value of the generator's map.
type quota struct{ Sent, Limit uint64 }

// send makes n frames more, as fast as the CPU can.
func (f *flood) send(t testing.TB, n int) {
	t.Helper()
	if err := f.trySend(n); err != nil {
		t.Fatalf("flood: %v", err)
	}
}

// trySend is send for a goroutine other than the test's.
func (f *flood) trySend(n int) error {
	limit := f.made + uint64(n)
	if f.dry != nil {
		return f.rehearse(limit)
	}
	sent := f.generator.Maps[sentMap]
	if err := sent.Put(uint32(0), quota{f.made, limit}); err != nil {
		return err
	}
	for f.made < limit {
		if err := f.run(int(min(limit-f.made, floodChunk))); err != nil {
			return err
		}
		var q quota
		if err := sent.Lookup(uint32(0), &q); err != nil {
			return err
		}
		f.made = q.Sent
	}
	return nil
}

// run makes n live frames, or asks whether the kernel does if n is 0.
func (f *flood) run(n int) error {
	const live = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	return f.thread.do(func() error {
		_, err := f.generator.Programs[generatorName].Run(&ebpf.RunOptions{
			Data: f.frame, Repeat: uint32(max(n, 1)), Flags: live,
			BatchSize: floodBatch, // without it, Linux 5.10 takes no notice of the flag
		})
		return err
	})
}

// rehearse does without live frames, up to a number of frames.
func (f *flood) rehearse(limit uint64) error {
	return f.thread.do(func() error {
		for f.made < limit {
			n := limit - f.made
			if f.numbered != alike {
				f.number(f.made)
				n = 1
			}
			n = min(n, floodChunk)
			if _, err := f.dry.Run(&ebpf.RunOptions{Data: f.frame, Repeat: uint32(n)}); err != nil {
				return err
			}
			f.made += n
		}
		return nil
	})
}

// number does in Go what the generator does in the kernel.
func (f *flood) number(seq uint64) {
	if f.numbered != each {
		seq %= uint64(f.numbered)
	}
	binary.BigEndian.PutUint64(f.frame[frameSource:], seq)
	binary.BigEndian.PutUint64(f.frame[frameDestination:], ^seq)
	binary.BigEndian.PutUint16(f.frame[framePorts:], uint16(seq))
	binary.BigEndian.PutUint16(f.frame[framePorts+2:], uint16(seq>>16))
}

// arrived is how many frames the right end has taken in: all, but on kernels
// before 6.5. Those leave softirqs to a kernel thread where they become many, and
// until that runs the end's queue may be full. The veth counts what it refuses.
func (f *flood) arrived(t testing.TB) uint64 {
	t.Helper()
	if f.dry != nil {
		return f.made
	}
	refused := f.lab.refused(t, f.pair) - f.refused
	if refused > 0 {
		t.Logf("%d of %d frames found the queue full", refused, f.made)
	}
	return f.made - refused
}

// refused is how many frames the right end of pair i has refused.
func (l *lab) refused(t testing.TB, i int) uint64 {
	t.Helper()
	var end netlink.Link
	err := l.right.do(func() (err error) { end, err = netlink.LinkByName(right(i)); return err })
	if err != nil {
		t.Fatalf("ask for the statistics of %s: %v", right(i), err)
	}
	return end.Attrs().Statistics.RxDropped
}

// settle waits until all frames of floods that have ended were received, or
// found a queue full.
func (l *lab) settle() { time.Sleep(20 * time.Millisecond) }

// TestFlood proves the generator: every frame of a flood is received, with its
// number.
func TestFlood(t *testing.T) {
	lab := newLab(t)
	capture := lab.capture(t, captureOptions{checked: true})
	flood := lab.flood(t, 0, cpus(t)[0], floodFrame(64, layers.EthernetTypeIPv6), each)
	const packets = 10_000
	flood.send(t, packets/2)
	flood.send(t, packets/2)
	lab.settle()
	end := capture.finish(t)
	if end.counters.Seen != packets || end.counters.Captured != packets {
		t.Errorf("counters are %+v, want %d seen and captured", end.counters, packets)
	}
	if err := end.check.complete(packets); err != nil {
		t.Error(err)
	}
	if flood.dry != nil {
		t.Log("this kernel has no live frames")
	}
}
