package match

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/assemble"
	"github.com/xdplog/xdplog/asm/internal/layout"
)

// LookupFrom is how many values of a kind are worth a look-up: fewer are
// compared one by one.
const LookupFrom = 17

// run returns a step for neighbours in an Or that ask the same of different
// values: true if one of them is. In an And they are negations, and it is true
// if all of them are. It returns nil for what is better asked term by term.
func (m *matcher) run(terms []filter.Node, and bool) step {
	if len(terms) < 2 {
		return nil
	}
	_, negated := terms[0].(filter.Not)
	if negated != and {
		return nil
	}
	var member step
	switch positive(terms[0]).(type) {
	case filter.Net4:
		member = m.nets4(values[filter.Net4](terms))
	case filter.Net6:
		member = m.nets6(values[filter.Net6](terms))
	case filter.Port:
		if terms := values[filter.Port](terms); terms[0].Direction != filter.Both {
			member = m.ports(terms)
		}
	case filter.EtherAddress:
		member = m.etherAddresses(values[filter.EtherAddress](terms))
	}
	if member == nil || !and {
		return member
	}
	return m.not(member)
}

func positive(n filter.Node) filter.Node {
	if not, ok := n.(filter.Not); ok {
		return not.Term
	}
	return n
}

func values[T filter.Node](terms []filter.Node) []T {
	list := make([]T, len(terms))
	for i, n := range terms {
		list[i] = positive(n).(T)
	}
	return list
}

// table is a map of keys, without values of interest.
type table struct {
	name    string
	trie    bool  // keys begin with a prefix length
	keySize int16 // without the prefix length
}

// table makes a table of prefixes: a hash if all are of full length, else a
// trie (LPM).
func (m *matcher) table(prefixes []prefix) *table {
	t := &table{name: fmt.Sprintf("%s_%d", m.prefix, len(m.maps)), keySize: int16(len(prefixes[0].bytes))}
	for _, p := range prefixes {
		t.trie = t.trie || p.bits != 8*len(p.bytes)
	}
	unique := make(map[string]bool)
	var contents []ebpf.MapKV
	for _, p := range prefixes {
		key := p.bytes
		if t.trie {
			key = append(binary.NativeEndian.AppendUint32(nil, uint32(p.bits)), p.bytes...)
		}
		if !unique[string(key)] {
			unique[string(key)] = true
			contents = append(contents, ebpf.MapKV{Key: key, Value: []byte{1}})
		}
	}
	spec := &ebpf.MapSpec{
		Name: t.name, Type: ebpf.Hash, ValueSize: 1,
		KeySize: uint32(len(contents[0].Key.([]byte))), MaxEntries: uint32(len(contents)), Contents: contents,
	}
	if t.trie {
		spec.Type, spec.Flags = ebpf.LPMTrie, noPrealloc
	}
	m.maps[t.name] = spec
	return t
}

// noPrealloc is BPF_F_NO_PREALLOC (linux/bpf.h), which a trie must have.
const noPrealloc = 1

// prefix is a key of a table.
type prefix struct {
	bytes []byte
	bits  int
}

// find asks whether the table has the key that is in place.
func (m *matcher) find(t *table, sense bool, to assemble.Label) {
	key := keySlot
	if t.trie {
		m.Emit(bpf.StoreImm(stack, keySlot, int64(8*t.keySize), bpf.Word))
	}
	m.called()
	m.Emit(
		bpf.LoadMapPtr(bpf.R1, 0).WithReference(t.name),
		bpf.Mov.Reg(bpf.R2, stack),
		bpf.Add.Imm(bpf.R2, int32(key)),
		bpf.FnMapLookupElem.Call(),
	)
	op := bpf.JNE
	if !sense {
		op = bpf.JEq
	}
	m.jumpOn(op.Imm(bpf.R0, 0, ""), to)
}

// data is where in keySlot a table's keys have their bytes.
func (t *table) data() int16 {
	if t.trie {
		return keySlot + 4
	}
	return keySlot
}

// address asks whether a table has an address of the record.
func (m *matcher) address(t *table, f layout.RecordField, from int16) step {
	return func(sense bool, to assemble.Label) {
		if m.known == nil {
			return
		}
		for i := int16(0); i < t.keySize; i += 4 {
			m.Note("record."+f.Name, bpf.LoadMem(bpf.R0, record, int16(f.Offset)+from+i, bpf.Word))
			m.Emit(bpf.StoreMem(stack, t.data()+i, bpf.R0, bpf.Word))
		}
		m.find(t, sense, to)
	}
}

// etherAddresses are looked up as they stand in the frame, and two zero bytes.
func (m *matcher) etherAddresses(list []filter.EtherAddress) step {
	if len(list) < LookupFrom || list[0].Direction == filter.Both {
		return nil
	}
	var keys []prefix
	for _, n := range list {
		keys = append(keys, prefix{append(n.Address[:], 0, 0), 64})
	}
	t := m.table(keys)
	at := func(offset int16) step {
		return func(sense bool, to assemble.Label) {
			if m.known == nil {
				return
			}
			m.ethernet()
			m.frameStart()
			m.reach(bpf.R1, int32(offset)+6, m.abort)
			m.Emit(
				bpf.LoadMem(bpf.R0, bpf.R1, offset, bpf.Word),
				bpf.StoreMem(stack, keySlot, bpf.R0, bpf.Word),
				bpf.LoadMem(bpf.R0, bpf.R1, offset+4, bpf.Half),
				bpf.StoreMem(stack, keySlot+4, bpf.R0, bpf.Half),
				bpf.StoreImm(stack, keySlot+6, 0, bpf.Half),
			)
			m.find(t, sense, to)
		}
	}
	return m.either(list[0].Direction, at(6), at(0))
}

// portBitmap makes a map of a bit per port, in one array element of 8 KiB.
func (m *matcher) portBitmap(list []filter.Port) (name string) {
	bitmap := make([]byte, 1<<16/8)
	for _, port := range list {
		for p := int(port.Low); p <= int(port.High); p++ {
			bitmap[p/8] |= 1 << (p % 8)
		}
	}
	name = fmt.Sprintf("%s_%d", m.prefix, len(m.maps))
	m.maps[name] = &ebpf.MapSpec{
		Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(bitmap)), MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: bitmap}},
	}
	return name
}
