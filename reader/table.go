package reader

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader/tally"
)

// Count is what a program counted of one key, see [asm.Count].
type Count struct {
	// Key is a record in which what the count is by is set, and nothing else: with
	// it goes what tells whether that means something, [wire.Record.Flags] and Tags. Of a
	// conversation Source is the end that sent Sum, and began it, so far as is known
	// to this row.
	Key wire.Record
	MAC [6]byte // by MAC

	Packets, Bytes uint64         // bytes of whole frames, without FCS
	Back           wire.CountBack // of a conversation: from Destination to Source

	First, Last  time.Time // the zero time of a program without a clock
	TCPFlags     uint8     // those that were seen, see [Event.TCPFlags]
	BackTCPFlags uint8
}

// Table reads what a program counts by a key. Its methods may be called from any
// goroutine. The zero value is closed.
type Table struct {
	counters
	mu      sync.Mutex
	by      wire.CountBy
	which   *ebpf.Map // a descriptor of our own
	tables  [2]countTable
	current int // which is written to
	clock   clock
}

// countTable is one of the two, in memory that it shares with the program.
type countTable struct {
	rows   *ebpf.Map // a descriptor of our own
	memory []byte
	region int // bytes of one CPU's
}

// NewTable returns that of a collection that was loaded from [asm.Program]'s spec
// with a [asm.Count]. A collection has one at a time, which is not looked after: two take
// each other's rows. The collection must stay open as long.
func NewTable(coll *ebpf.Collection) (_ *Table, err error) {
	if coll == nil {
		return nil, errors.New("open table: there is no collection")
	}
	words := coll.Maps[wire.ReaderMap]
	if words == nil {
		return nil, fmt.Errorf("open table: collection lacks map %q", wire.ReaderMap)
	}
	var by uint64
	if err := words.Lookup(wire.ReaderCount, &by); err != nil || by == 0 || by > uint64(wire.CountBys) {
		return nil, errors.New("open table: the program counts nothing by a key")
	}
	t := &Table{by: wire.CountBy(by - 1)}
	defer func() {
		if err != nil {
			t.Close()
			err = fmt.Errorf("open table: %w", err)
		}
	}()
	for i, name := range []string{wire.TableA, wire.TableB} {
		if t.tables[i], err = openTable(coll.Maps[name]); err != nil {
			return nil, err
		}
	}
	if t.counters, err = countersOf(coll); err != nil {
		return nil, err
	}
	if coll.Maps[wire.CountMap] == nil {
		return nil, fmt.Errorf("collection lacks map %q", wire.CountMap)
	}
	if t.which, err = coll.Maps[wire.CountMap].Clone(); err != nil {
		return nil, fmt.Errorf("open map %q: %w", wire.CountMap, err)
	}
	return t, nil
}

func openTable(rows *ebpf.Map) (t countTable, err error) {
	if rows == nil {
		return t, errors.New("collection lacks a table")
	}
	if t.rows, err = rows.Clone(); err != nil {
		return t, fmt.Errorf("open a table: %w", err)
	}
	t.region = int(rows.ValueSize()) // a multiple of 8, as the kernel wants it
	t.memory, err = unix.Mmap(t.rows.FD(), 0, t.region*int(rows.MaxEntries()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return t, fmt.Errorf("map a table into memory: %w", err)
	}
	return t, nil
}

// By is what is counted by. Keys of package tally have the same numbers: tally.By(t.By()).
func (t *Table) By() wire.CountBy { return t.by }

// Read calls each with what was counted since the last Read, a row after the other:
// one key may have several, as each CPU has rows of its own. The rest is in other, which
// is what found no room. So what all of it, of all calls, has is what matched until Read
// began, in packets and in bytes; what comes meanwhile is for the next. The pointer is
// good until each returns.
//
// The program writes to the other table meanwhile. It takes some ten milliseconds, in
// which the kernel waits for its CPUs, and next to no work but for the rows.
func (t *Table) Read(each func(*Count)) (other wire.CountBack, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.which == nil {
		return other, fmt.Errorf("read table: %w", os.ErrClosed)
	}
	next := 1 - t.current
	// The kernel returns when no program runs any more that may have found the table
	// of before (maybe_wait_bpf_programs, kernel/bpf/syscall.c, since 4.19).
	if err := t.which.Put(uint32(0), uint32(t.tables[next].rows.FD())); err != nil {
		return other, fmt.Errorf("read table: give the program the other one: %w", err)
	}
	full := &t.tables[t.current]
	t.current = next
	stamp := t.clock.stamp()
	var count Count
	for at := 0; at < len(full.memory); at += full.region {
		region := (*wire.CountRegion)(unsafe.Pointer(&full.memory[at]))
		other.Packets += region.Packets
		other.Bytes += region.Bytes
		*region = wire.CountRegion{}
		t.readRegion(full.memory[at:][:full.region], &stamp, &count, each)
	}
	return other, nil
}

// readRegion takes the rows of one CPU.
func (t *Table) readRegion(memory []byte, stamp *stamp, count *Count, each func(*Count)) {
	size := t.by.RowSize()
	for at := wire.CountRegionSize; at < len(memory); at += size {
		row := (*wire.CountRow)(unsafe.Pointer(&memory[at]))
		if row.Meta == 0 {
			continue
		}
		key := unsafe.Slice((*uint64)(unsafe.Pointer(&memory[at+wire.CountRowSize])), t.by.Words()+2)
		*count = Count{
			Packets: row.Packets, Bytes: row.Bytes,
			TCPFlags: uint8(row.Meta >> wire.CountFlagsShift), BackTCPFlags: uint8(row.Meta >> wire.CountBackFlags),
		}
		if row.Last != 0 {
			count.First, count.Last = stamp.another(row.First), stamp.another(row.Last)
		}
		count.setKey(t.by, key)
		if t.by == wire.ByConversation {
			count.Back = wire.CountBack{Packets: key[t.by.Words()], Bytes: key[t.by.Words()+1]}
			if row.Meta&wire.CountBackFirst != 0 {
				count.turn()
			}
		}
		row.Meta = 0
		each(count)
	}
}

// Row is the count as a row of a table by a key, which must be what the program counts by.
func (c *Count) Row(by tally.By) tally.Row {
	key := Packet{Event: FromRecord(&c.Key)}
	row := key.Row(by)
	row.MAC = c.MAC
	row.First, row.Last = c.First, c.Last
	row.Sum, row.Back = tally.Sum{Packets: c.Packets, Bytes: c.Bytes}, tally.Sum(c.Back)
	row.TCPFlags, row.BackTCPFlags = c.TCPFlags, c.BackTCPFlags
	if row.Reversed {
		row.Sum, row.Back = row.Back, row.Sum
		row.TCPFlags, row.BackTCPFlags = row.BackTCPFlags, row.TCPFlags
	}
	return row
}

// turn exchanges the two ends of a conversation.
func (c *Count) turn() {
	c.Key.Source, c.Key.Destination = c.Key.Destination, c.Key.Source
	c.Key.SourcePort, c.Key.DestinationPort = c.Key.DestinationPort, c.Key.SourcePort
	c.Packets, c.Bytes, c.Back = c.Back.Packets, c.Back.Bytes, wire.CountBack{Packets: c.Packets, Bytes: c.Bytes}
	c.TCPFlags, c.BackTCPFlags = c.BackTCPFlags, c.TCPFlags
}

// setKey sets what the count is by from the words of a key.
func (c *Count) setKey(by wire.CountBy, key []uint64) {
	word := key[0]
	switch by {
	case wire.BySource, wire.ByPrefix:
		c.Key.Source = address(key)
		c.Key.Flags = wire.Flags(key[2])
	case wire.ByPair:
		c.Key.Source, c.Key.Destination = address(key), address(key[2:])
		c.Key.Flags = wire.Flags(key[4])
	case wire.ByConversation:
		c.Key.Source, c.Key.Destination = address(key), address(key[2:])
		c.Key.SourcePort = uint16(key[4] >> wire.KeyLowPortShift)
		c.Key.DestinationPort = uint16(key[4] >> wire.KeyHighPortShift)
		c.Key.Protocol = uint8(key[4] >> wire.KeyProtocolShift)
		c.Key.OuterVLAN = uint16(key[4]>>wire.KeyOuterShift) & wire.VLANMask
		c.Key.InnerVLAN = uint16(key[4]) & wire.VLANMask
		c.Key.Flags = wire.Flags(key[5]) & wire.KeyFlags
		c.Key.TagsFate = uint8(key[5]>>wire.KeyTagNumberShift) & wire.TagsMask
		c.Key.EtherType = uint16(key[5] >> wire.KeyEtherTypeShift)
	case wire.ByPort:
		c.Key.Protocol = uint8(word)
		c.Key.DestinationPort = uint16(word >> wire.KeyPortShift)
		c.Key.Flags = wire.Flags(word >> wire.KeyFlagShift)
	case wire.ByVLAN:
		c.Key.TagsFate = uint8(word >> wire.KeyTagsShift)
		c.Key.OuterVLAN, c.Key.InnerVLAN = uint16(word>>16), uint16(word)
	case wire.ByMAC:
		c.MAC = [6]byte(unsafe.Slice((*byte)(unsafe.Pointer(&key[0])), 6))
	case wire.ByProtocol:
		if word&wire.KeyIP != 0 {
			c.Key.Flags, c.Key.Protocol = wire.FlagIPv4, uint8(word)
		} else {
			c.Key.EtherType = uint16(word)
		}
	case wire.ByVerdict:
		c.Key.TagsFate = uint8(word) << wire.VerdictShift
	}
}

// address is the one that two words of a key are, as they lie in memory.
func address(key []uint64) [16]byte {
	return *(*[16]byte)(unsafe.Pointer(&key[0]))
}

// Close releases the table. What has not been read is gone for the caller. A second Close
// does nothing.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for i := range t.tables {
		if memory := t.tables[i].memory; memory != nil {
			errs = append(errs, unix.Munmap(memory))
		}
		if rows := t.tables[i].rows; rows != nil {
			errs = append(errs, rows.Close())
		}
		t.tables[i] = countTable{}
	}
	if t.which != nil {
		errs = append(errs, t.which.Close())
		t.which = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close table: %w", err)
	}
	return nil
}
