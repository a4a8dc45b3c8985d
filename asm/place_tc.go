package asm

import (
	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

// trafficControl is tc: a classifier that the network stack runs on each packet
// that it receives, or is about to send. Its packets are the stack's: merged by
// GRO, or not yet cut into what goes over the wire, with a VLAN tag that the card
// took off, or will put on, beside them.
//
// Of such a packet often no more than the headers can be read directly, and
// sometimes less. So it is parsed where it lies; where a header is not there, its
// beginning is copied into memory of the program's, and is parsed from there. A
// packet with a tag beside it is copied at once, with the tag where it is on the
// wire: so the parser and the filter, which know nothing of all this, see the
// frame on the wire.
type trafficControl struct {
	copied
	way wire.Direction // to be said in records
}

func newTCIngress(cfg Config) place { return trafficControl{copied{cfg.Inner}, cfg.said(wire.In)} }
func newTCEgress(cfg Config) place  { return trafficControl{copied{cfg.Inner}, cfg.said(wire.Out)} }

// tcNext is TC_ACT_UNSPEC (linux/pkt_cls.h), and TCX_NEXT (linux/bpf.h, 6.6):
// whoever comes next decides.
const tcNext = -1

// Fields of struct __sk_buff (linux/bpf.h), the program's context.
var (
	skbLen         = layout.Field{Name: "__sk_buff.len", Offset: 0, Size: bpf.Word}
	skbVLANPresent = layout.Field{Name: "__sk_buff.vlan_present", Offset: 20, Size: bpf.Word} // 0 or 1
	skbVLANTCI     = layout.Field{Name: "__sk_buff.vlan_tci", Offset: 24, Size: bpf.Word}     // host order
	skbVLANProto   = layout.Field{Name: "__sk_buff.vlan_proto", Offset: 28, Size: bpf.Word}   // the TPID in network order
	skbIfindex     = layout.Field{Name: "__sk_buff.ifindex", Offset: 40, Size: bpf.Word}      // of the interface that the program is on
	skbHash        = layout.Field{Name: "__sk_buff.hash", Offset: 68, Size: bpf.Word}         // 0: none was made yet
	skbData        = layout.Field{Name: "__sk_buff.data", Offset: 76, Size: bpf.Word}         // the Ethernet header
	skbDataEnd     = layout.Field{Name: "__sk_buff.data_end", Offset: 80, Size: bpf.Word}     // of what can be read directly
	skbHWTime      = layout.Field{Name: "__sk_buff.hwtstamp", Offset: 184, Size: bpf.DWord}   // Linux 5.16; 0 where the device did not say
)

// context is struct __sk_buff, as far as tools want to know.
func (trafficControl) context() *btf.Struct { return contextOf("__sk_buff", "len") }

func (trafficControl) spec() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Type: ebpf.SchedCLS, SectionName: "tc"}
}

// begin is also where the program goes on from copyAll, once, and begins anew. What
// goes round is entered by jumps alone: the verifier takes no
// loop that is closed by falling through.
// How much of the packet is copied is in copiedSlot: the verifier follows it, and
// so sees that there is an end to this.
func (t trafficControl) begin(b *builder) {
	copyIt := b.Fresh("copy")
	skbData.LoadRaw(b.Builder, header, ctx)
	skbDataEnd.LoadRaw(b.Builder, end, ctx)
	b.inPlace()
	skbVLANPresent.LoadRaw(b.Builder, bpf.R1, ctx)
	b.JumpIf(bpf.R1, bpf.JEq, 0, parse)
	b.Emit(bpf.Mov.Imm(header, copyUsual))

	b.Block(copyIt)
	t.copyBeginning(b)
	b.Jump(parse)

	b.Block(copyAll)
	b.Emit(bpf.Mov.Imm(header, t.most()))
	b.Jump(copyIt)

	b.Block(parse)
}

// copyBeginning copies as much of the packet as header says, at most, and leaves in header
// and end what can be read of it. On the way end is the copy, and record how long it is.
func (t trafficControl) copyBeginning(b *builder) {
	plain, copied := b.Fresh("no_tag_beside"), b.Fresh("copied")
	b.findCopy()
	skbLen.LoadRaw(b.Builder, record, ctx)
	b.atMost(t.most(), layout.EtherLen) // shorter is nothing but what a socket has that is no frame
	b.Emit(bpf.Mov.Reg(header, end))

	skbVLANPresent.LoadRaw(b.Builder, bpf.R1, ctx)
	b.JumpIf(bpf.R1, bpf.JEq, 0, plain)
	b.loadBytes(0, 0, func() { b.Emit(bpf.Mov.Imm(bpf.R4, addressesLen)) })
	skbVLANProto.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Note("vlan.tpid", bpf.StoreMem(header, addressesLen, bpf.R1, bpf.Half))
	skbVLANTCI.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Emit(bpf.HostTo(bpf.BE, bpf.R1, bpf.Half))
	b.Note("vlan.tci", bpf.StoreMem(header, addressesLen+2, bpf.R1, bpf.Half))
	b.loadBytes(addressesLen, addressesLen+layout.TagLen, func() {
		b.Emit(
			bpf.Mov.Reg(bpf.R4, record),
			bpf.Sub.Imm(bpf.R4, addressesLen),
		)
	})
	b.Emit(bpf.Add.Imm(record, layout.TagLen))
	b.Jump(copied)

	b.Block(plain)
	b.loadBytes(0, 0, func() { b.Emit(bpf.Mov.Reg(bpf.R4, record)) })

	b.Block(copied)
	b.Emit(bpf.Add.Reg(end, record))
}

// loadBytes copies bytes of the packet, from an offset on, into the copy at another.
// The helper can't fail: they are there.
func (b *builder) loadBytes(from, to int32, size func()) {
	size()
	b.Emit(
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Imm(bpf.R2, from),
		bpf.Mov.Reg(bpf.R3, header),
		bpf.Add.Imm(bpf.R3, to),
		bpf.FnSkbLoadBytes.Call(),
	)
}

// Limits implements [match.Place]. Any header may end before what is asked for.
func (t trafficControl) Limits() (near uint32, direct int32) { return 0, t.most() }

// Length implements [match.Place]: with the tag that is beside the packet.
func (trafficControl) Length(b *assemble.Builder) {
	skbLen.LoadRaw(b, bpf.R0, ctx)
	tagBeside(b, bpf.R1)
	b.Emit(bpf.Add.Reg(bpf.R0, bpf.R1))
}

// tagBeside leaves in a register the length of the tag that is beside the packet, or 0.
func tagBeside(b *assemble.Builder, dst bpf.Register) {
	skbVLANPresent.LoadRaw(b, dst, ctx)
	b.Emit(bpf.LSh.Imm(dst, 2)) // of layout.TagLen
}

// Fragmented implements [match.Place].
func (trafficControl) Fragmented() bool { return true }

// Further implements [match.Place].
func (t trafficControl) Further(b *assemble.Builder, otherwise assemble.Label) {
	t.further(b, t, otherwise)
}

// Copy implements [match.Place] by bpf_skb_load_bytes. What precedes a tag that is
// beside the packet is never asked for: it is in the copy.
func (trafficControl) Copy(b *assemble.Builder, slot int16, size int32) {
	b.Emit(bpf.Mov.Reg(bpf.R2, bpf.R0))
	tagBeside(b, bpf.R1)
	b.Emit(
		bpf.Sub.Reg(bpf.R2, bpf.R1),
		bpf.Mov.Reg(bpf.R1, ctx),
		bpf.Mov.Reg(bpf.R3, stack),
		bpf.Add.Imm(bpf.R3, int32(slot)),
		bpf.Mov.Imm(bpf.R4, size),
		bpf.FnSkbLoadBytes.Call(),
	)
}

func (trafficControl) iface(b *builder, dst bpf.Register) { skbIfindex.LoadRaw(b.Builder, dst, ctx) }

func (trafficControl) time(b *builder, clock Clock) {
	if clock == HardwareClock {
		b.deviceTime(func(label) { skbHWTime.LoadRaw(b.Builder, bpf.R0, ctx) })
		return
	}
	b.now(clock)
}

// rxHash is what the device, or who sends, or the stack has made by now; 0 is none. Over what is not told.
func (trafficControl) rxHash(b *builder) {
	skbHash.LoadRaw(b.Builder, bpf.R1, ctx)
	b.store(layout.Hash.Value, bpf.R1)
}

// sampled has the tag that is beside a packet stand between the record and the
// packet's bytes, which the helper copies from memory without it.
func (trafficControl) sampled(b *builder) bpf.BuiltinFunc {
	plain := b.Fresh("no_tag_beside")
	skbVLANPresent.LoadRaw(b.Builder, bpf.R0, ctx)
	b.JumpIf(bpf.R0, bpf.JEq, 0, plain)
	b.tagBehindRecord(func(at bpf.Register, offset int16) {
		skbVLANProto.LoadRaw(b.Builder, bpf.R0, ctx)
		b.Note("vlan.tpid", bpf.StoreMem(at, offset, bpf.R0, bpf.Half))
		skbVLANTCI.LoadRaw(b.Builder, bpf.R0, ctx)
		b.Emit(bpf.HostTo(bpf.BE, bpf.R0, bpf.Half))
		b.Note("vlan.tci", bpf.StoreMem(at, offset+2, bpf.R0, bpf.Half))
	})
	b.Block(plain)
	return bpf.FnPerfEventOutput
}

// addressesLen is how many bytes of a frame are before its first tag.
const addressesLen = 12

// tagBehindRecord has the helper that copies packet bytes copy a tag before them, which
// put writes. It takes r0, as put may.
func (b *builder) tagBehindRecord(put func(at bpf.Register, offset int16)) {
	size := int16(b.recordSize())
	slot := layout.FilterSlot - size - 8 // the filter is over
	for i := int16(0); i < size; i += 8 {
		b.Emit(
			bpf.LoadMem(bpf.R0, record, i, bpf.DWord),
			bpf.StoreMem(stack, slot+i, bpf.R0, bpf.DWord),
		)
	}
	put(stack, slot+size)
	b.Emit(
		bpf.Mov.Imm(bpf.R0, layout.TagLen), // so much less of the packet
		bpf.LSh.Imm(bpf.R0, packetShift),
		bpf.Sub.Reg(bpf.R3, bpf.R0),
		bpf.Mov.Reg(bpf.R4, stack),
		bpf.Add.Imm(bpf.R4, int32(slot)),
		bpf.Mov.Imm(bpf.R5, int32(size)+layout.TagLen),
	)
}

// queue is not known: __sk_buff.queue_mapping is from 1 on what drivers say of it, and of
// a packet that a veth brings the queue by which the other end sent it, from 0 on.
func (trafficControl) queue(*builder, bpf.Register) bool { return false }

func (trafficControl) copyable(*builder, bpf.Register) {}

// packet has a tag that is beside the packet before its bytes, as sampled does.
func (trafficControl) packet(b *builder, to, size bpf.Register) {
	plain, copied := b.Fresh("no_tag_beside"), b.Fresh("packet_copied")
	load := func(offset int32) {
		b.Emit(
			bpf.Mov.Reg(bpf.R1, ctx),
			bpf.Mov.Imm(bpf.R2, 0),
			bpf.Mov.Reg(bpf.R3, to),
			bpf.Add.Imm(bpf.R3, offset),
			bpf.Mov.Reg(bpf.R4, size),
			bpf.Sub.Imm(bpf.R4, offset),
			bpf.FnSkbLoadBytes.Call(),
		)
	}
	skbVLANPresent.LoadRaw(b.Builder, bpf.R0, ctx)
	b.JumpIf(bpf.R0, bpf.JEq, 0, plain)
	skbVLANProto.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Note("vlan.tpid", bpf.StoreMem(to, 0, bpf.R1, bpf.Half))
	skbVLANTCI.LoadRaw(b.Builder, bpf.R1, ctx)
	b.Emit(bpf.HostTo(bpf.BE, bpf.R1, bpf.Half))
	b.Note("vlan.tci", bpf.StoreMem(to, 2, bpf.R1, bpf.Half))
	b.Emit(bpf.Mov.Imm(bpf.R0, 0))
	b.JumpIf(size, bpf.JLE, layout.TagLen, copied) // never: a tagged packet is longer
	load(layout.TagLen)
	b.Jump(copied)
	b.Block(plain)
	load(0)
	b.Block(copied)
}

func (trafficControl) skip(*builder, label) {}

func (trafficControl) pass() int32 { return tcNext }
