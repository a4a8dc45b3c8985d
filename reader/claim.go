package reader

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// ErrInUse is returned for a collection that has a reader: two would take each
// other's events.
var ErrInUse = errors.New("the collection has a reader already: close that first")

// claim makes a reader the only one of its collection. It is an element of a map
// of the collection's, which the kernel makes for one of two who ask at once. So it
// holds between all who have the maps, and nobody else can be in the way.
type claim struct {
	words  *ebpf.Map // a descriptor of our own: the collection may be closed when Read has ended, and Close not yet
	buffer int       // bytes of each CPU's perf buffer that the config asks for; 0: as many as may be had
}

// claimReader claims a collection. A reader that was never closed keeps it as long
// as its process lives, as this one sees it: maps that outlive their process, being
// pinned or passed on, can be claimed again, and processes that share them are to
// see each other (pid_namespaces(7)).
func claimReader(words *ebpf.Map) (claim, error) {
	if words == nil {
		return claim{}, fmt.Errorf("collection lacks map %q", wire.ReaderMap)
	}
	var buffer uint64
	if err := words.Lookup(wire.ReaderBuffer, &buffer); err != nil {
		return claim{}, fmt.Errorf("ask for the buffer's size: %w", err)
	}
	own := process(os.Getpid())
	err := words.Update(wire.ReaderOwner, own, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		err = inherit(words, own)
	}
	if errors.Is(err, ebpf.ErrKeyExist) {
		return claim{}, ErrInUse
	}
	if err != nil {
		return claim{}, fmt.Errorf("claim the collection: %w", err)
	}
	c := claim{buffer: int(buffer)}
	if c.words, err = words.Clone(); err != nil {
		words.Delete(wire.ReaderOwner)
		return claim{}, fmt.Errorf("claim the collection: %w", err)
	}
	return c, nil
}

// inherit claims a collection whose owner is gone. Of those who see that at once one
// becomes the heir, and whoever is it later finds a living owner. The error is
// [ebpf.ErrKeyExist] where there is one.
func inherit(words *ebpf.Map, own uint64) error {
	var owner, heir uint64
	if words.Lookup(wire.ReaderOwner, &owner) == nil && alive(owner) {
		return ebpf.ErrKeyExist
	}
	if err := words.Update(wire.ReaderHeir, own, ebpf.UpdateNoExist); err != nil {
		if words.Lookup(wire.ReaderHeir, &heir) == nil && !alive(heir) {
			words.Delete(wire.ReaderHeir) // it died just then; the next one may try again
		}
		return err
	}
	defer words.Delete(wire.ReaderHeir)
	switch err := words.Lookup(wire.ReaderOwner, &owner); {
	case errors.Is(err, ebpf.ErrKeyNotExist): // it was given up meanwhile
		return words.Update(wire.ReaderOwner, own, ebpf.UpdateNoExist)
	case err != nil:
		return err
	case alive(owner):
		return ebpf.ErrKeyExist
	}
	return words.Update(wire.ReaderOwner, own, ebpf.UpdateExist)
}

// process is a process in a word: its id, and above that when it started, by which it
// is told from one that gets the id later; 0 where there is no /proc that says so.
func process(pid int) uint64 { return uint64(started(pid))<<32 | uint64(uint32(pid)) }

// alive reports whether a process that said so of itself still runs.
func alive(word uint64) bool {
	pid, since := int(uint32(word)), uint32(word>>32)
	if unix.Kill(pid, 0) == unix.ESRCH {
		return false
	}
	now := started(pid)
	return since == 0 || now == 0 || since == now
}

// started is when a process did, in clock ticks since boot: field 22 of
// /proc/PID/stat (proc_pid_stat(5)). The second field ends with the last parenthesis.
func started(pid int) uint32 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	ticks, _ := strconv.ParseUint(string(fields[19]), 10, 64)
	return uint32(ticks)
}

// release lets another reader have the collection. A second one does nothing.
func (c *claim) release() error {
	words := c.words
	c.words = nil
	if words == nil {
		return nil
	}
	defer words.Close()
	if err := words.Delete(wire.ReaderOwner); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("give the collection up: %w", err)
	}
	return nil
}
