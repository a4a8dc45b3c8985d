package live

import (
	"testing"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/reader"
)

// TestHash: the driver is asked for hashes by itself, of programs that are to have them.
func TestHash(t *testing.T) {
	lab := newLab(t)
	c := open(t, lab.on(asm.Config{Hash: true}))
	told := c.Attachments()[0].TellsHash()
	lab.send(t, 4)
	events := make([]reader.Event, 4)
	for n := 0; n < len(events); {
		more, err := c.Read(events[n:])
		must(t, err)
		n += more
	}
	hashes := map[uint32]bool{}
	for _, e := range events {
		if e.Hash.Known() != told {
			t.Errorf("hash %v of %v, and the driver tells one: %v", e.Hash, e, told)
		}
		hashes[e.Hash.Value] = true
	}
	if told && len(hashes) < 2 {
		t.Errorf("four flows have hashes %v", hashes)
	}
	must(t, c.Close())
}
