package run

import (
	"slices"
	"sync/atomic"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/reader"
)

// decidedMachine runs those of a file's packets of which an XDP program has decided what is
// wanted: the others, and those of which nothing is said, are seen and don't match.
type decidedMachine struct {
	machine // that selects and counts by itself
	wanted  []wire.Verdict
	others  atomic.Uint64
}

func (m *decidedMachine) run(packets []capfile.Packet, into []reader.Packet, options *[]capfile.Options) (ran, n int, err error) {
	for ran < len(packets) && n < len(into) {
		p := packets[ran : ran+1]
		ran++
		if _, verdict := p[0].Fate(); !slices.Contains(m.wanted, verdict) {
			m.others.Add(1)
			continue
		}
		_, found, err := m.machine.run(p, into[n:], options)
		n += found
		if err != nil {
			return ran, n, err
		}
	}
	return ran, n, nil
}

func (m *decidedMachine) counters(selected wire.Counters) (wire.Counters, error) {
	c, err := m.machine.counters(selected)
	c.Seen += m.others.Load()
	return c, err
}
