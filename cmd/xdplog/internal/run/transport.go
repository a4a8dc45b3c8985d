package run

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

// sharedMost is the most memory that rings for each possible CPU may take in all, where
// nobody asked for them: a virtual machine may have room for hundreds of CPUs. Of what
// the machine has it is at most a part, too.
const (
	sharedMost = 256 << 20
	sharedPart = 16
)

// transports are the ways in which events may leave the kernel, the cheapest for a packet
// first. The last one can be had everywhere.
func (o *Options) transports() []asm.Transport {
	if o.FixedTransport || o.counts() || o.Program.Keep {
		return []asm.Transport{o.Program.Transport}
	}
	ways := []asm.Transport{asm.Mmap, asm.Ringbuf, asm.Perf}
	return slices.DeleteFunc(ways, func(way asm.Transport) bool {
		return o.packetBytes() > 0 && way.MaxSnapLen() == 0 || way == asm.Mmap && !o.affordsShared()
	})
}

// affordsShared says whether rings in shared memory are worth their memory. Beside
// another program they carry the bytes of a packet's first buffer alone.
func (o *Options) affordsShared() bool {
	places := append(slices.Clone(o.Program.Places), o.Program.Place)
	if o.packetBytes() > 0 && slices.Contains(places, asm.Beside) {
		return false
	}
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return false
	}
	each := o.Program.Buffer
	if each == 0 {
		each = asm.DefaultBuffer
	}
	each += min(o.packetBytes(), asm.Mmap.MaxSnapLen())
	return uint64(possible)*uint64(each) <= sharedMemory()
}

// sharedMemory is how much of this machine's memory may be taken for what is there for each
// possible CPU.
func sharedMemory() uint64 {
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err != nil {
		return 0
	}
	return min(sharedMost, uint64(machine.Totalram)*uint64(machine.Unit)/sharedPart)
}

// packetBytes is how many bytes of each packet are wanted.
func (o *Options) packetBytes() int { return max(o.PacketBytes, o.Program.SnapLen) }

// load puts the program into the kernel, by the first transport that can be had, and opens
// the reader of its events. The error is that of the last.
func (o *Options) load() (coll *ebpf.Collection, events *reader.Reader, err error) {
	bytes := o.packetBytes()
	for _, way := range o.transports() {
		o.Program.Transport = way
		o.Program.SnapLen = min(bytes, way.MaxSnapLen())
		if !o.FixedTransport { // of each it is another number
			o.Program.CPUs = 0
		}
		if coll, events, err = o.loadOnce(); err == nil {
			return coll, events, nil
		}
	}
	return nil, nil, err
}

// loadOnce is of one transport.
func (o *Options) loadOnce() (collection *ebpf.Collection, _ *reader.Reader, err error) {
	load := func() error {
		collection, err = loader.Load(o.Program)
		return err
	}
	if len(o.Program.Metadata) > 0 { // of devices, by their index in their namespace
		err = loader.Within(o.Netns, load)
	} else {
		err = load()
	}
	if err != nil {
		return nil, nil, err
	}
	events, err := reader.New(collection, reader.Options{Kept: o.Keep.Time})
	if err != nil {
		collection.Close()
		return nil, nil, err
	}
	return collection, events, nil
}

// transport says which transport was chosen, where none was asked for, and else what memory
// is taken for what stays in the kernel.
func (o *Options) transport() string {
	switch {
	case o.counts():
		return o.memory()
	case o.Program.Keep:
		return fmt.Sprintf(", the last %s a CPU kept", binarySize(o.Program.Buffer))
	case o.FixedTransport:
		return ""
	}
	return ", transport " + o.Program.Transport.String()
}
