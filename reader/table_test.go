package reader

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/reader/tally"
)

// TestCountBesideEvents: what is counted by a key is reported too, where both are wanted, of
// a sample what is reported is counted all the same.
func TestCountBesideEvents(t *testing.T) {
	eachTransport(t, asm.Config{Count: &asm.Count{Events: true}, Sample: asm.Sampling{N: 10}}, Options{},
		func(t *testing.T, program *ebpf.Program, reader *Reader) {
			pinned(t)
			send(t, program, 100)
			reader.Finish()
			if n := len(drain(t, reader)); n != 10 {
				t.Errorf("%d events, want 10 of 100", n)
			}
		})

	coll := load(t, asm.Config{Count: &asm.Count{Events: true}, Sample: asm.Sampling{N: 10}})
	table, err := NewTable(coll)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	send(t, coll.Programs[asm.ProgramName], 100)
	var rows tally.Table
	other, err := table.Read(func(c *Count) {
		row := c.Row(tally.By(table.By()))
		rows.Add(&row)
	})
	if err != nil {
		t.Fatal(err)
	}
	if all := rows.All(); len(all) != 1 || all[0].Packets != 100 || all[0].Bytes != 100*uint64(len(datagram)) || other.Packets != 0 {
		t.Errorf("rows %+v, other %+v", all, other)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Read(func(*Count) {}); err == nil {
		t.Error("a closed table can be read")
	}
}
