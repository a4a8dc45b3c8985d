package reader

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/wire"
)

// ErrInUse is returned for a collection that has a reader: two would take each
// other's events.
var ErrInUse = errors.New("the collection has a reader already: close that first")

// claim makes a reader the only one of its collection. It is an element of a map
// of the collection's, which the kernel makes for one of two who ask at once.
type claim struct {
	words  *ebpf.Map
	buffer int // bytes of each CPU's perf buffer that the config asks for; 0: as many as may be had
}

// claimReader claims a collection. A reader that was never closed keeps it as long
// as its process lives, as this one sees it; maps that outlive their process, being
// pinned or passed on, can be claimed again.
func claimReader(words *ebpf.Map) (claim, error) {
	if words == nil {
		return claim{}, fmt.Errorf("collection lacks map %q", wire.ReaderMap)
	}
	var buffer uint64
	if err := words.Lookup(wire.ReaderBuffer, &buffer); err != nil {
		return claim{}, fmt.Errorf("ask for the buffer's size: %w", err)
	}
	for range 2 {
		err := words.Update(wire.ReaderOwner, uint64(os.Getpid()), ebpf.UpdateNoExist)
		if err == nil {
			return claim{words: words, buffer: int(buffer)}, nil
		}
		if !errors.Is(err, ebpf.ErrKeyExist) {
			return claim{}, fmt.Errorf("claim the collection: %w", err)
		}
		var owner uint64
		if words.Lookup(wire.ReaderOwner, &owner) == nil && unix.Kill(int(owner), 0) != unix.ESRCH {
			break
		}
		words.Delete(wire.ReaderOwner) // gone without a word
	}
	return claim{}, ErrInUse
}

// release lets another reader have the collection. A second one does nothing.
func (c *claim) release() error {
	words := c.words
	c.words = nil
	if words == nil {
		return nil
	}
	if err := words.Delete(wire.ReaderOwner); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("give the collection up: %w", err)
	}
	return nil
}
