package reader

import (
	"testing"

	"github.com/cilium/ebpf/link"

	"github.com/xdplog/xdplog/asm"
)

// TestHold puts a program aside, where it runs as ever, and takes it back.
func TestHold(t *testing.T) {
	coll := load(t, asm.Config{})
	prog := coll.Programs[asm.ProgramName]
	attachments := func() (n int) {
		info, err := prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		for it := new(link.Iterator); it.Next(); {
			if info, err := it.Link.Info(); err == nil && info.Program == id {
				n++
			}
		}
		return n
	}
	before := attachments() // under a kernel that needs it, load holds it, too
	release, err := putAside(prog)
	if err != nil {
		t.Fatal(err)
	}
	if n := attachments(); n != before+1 {
		t.Errorf("the program has %d links, want %d", n, before+1)
	}
	send(t, prog, 1)
	release()
	release()
	if n := attachments(); n != before {
		t.Errorf("the program has %d links after release, want %d", n, before)
	}

	slow, err := runsSlowly()
	if err != nil {
		t.Fatal(err)
	}
	if slow {
		t.Log("this kernel lacks fast test runs of programs that are not in use")
	}
}
