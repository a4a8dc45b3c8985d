package run

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
	"github.com/xdplog/xdplog/reader"
)

// streams are what the programs of a run count, each by itself. Of more than have counters
// of their own the last ones are one.
func streams(attached []standing, each int, events *reader.Reader) []metrics.Stream {
	all := make([]metrics.Stream, min(len(attached), asm.MaxInterfaces))
	for slot := range all {
		s := &all[slot]
		s.Counters = func() (wire.Counters, error) { return events.CountersOf(uint8(slot)) }
		s.Interface = attached[slot].Interface()
		if slot == asm.MaxInterfaces-1 && len(attached) > len(all) {
			s.Interface = "others"
		}
		if each > 1 {
			s.Direction = In.String()
			if attached[slot].Place() == asm.TCEgress {
				s.Direction = Out.String()
			}
		}
	}
	return all
}

// info says what a run is.
func (o *Options) info(attached []standing) metrics.Info {
	var modes, places []string
	add := func(all []string, one string) []string {
		if slices.Contains(all, one) {
			return all
		}
		return append(all, one)
	}
	for _, a := range attached {
		places = add(places, a.Place().String())
		if a.Place() == asm.XDP {
			modes = add(modes, a.Mode().String())
		}
	}
	sampling := "all"
	switch s := o.Program.Sample; {
	case s.N > 1 && s.Random:
		sampling = fmt.Sprintf("1 in %d by chance", s.N)
	case s.N > 1:
		sampling = fmt.Sprintf("1 in %d", s.N)
	}
	return metrics.Info{
		Mode: strings.Join(modes, ", "), Place: strings.Join(places, ", "),
		Transport: o.Program.Transport.String(), Filter: o.filter(), Sampling: sampling,
	}
}
