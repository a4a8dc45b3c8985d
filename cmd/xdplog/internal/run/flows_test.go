package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/flow"
)

// newFlowFixture is a session that tells conversations apart. All that it captures is one.
func newFlowFixture(captured int, flows Flows) *fixture {
	f := newFixture(captured)
	f.flows = &folding{Flows: flows}
	return f
}

// TestFlowAtEnd: what is open is printed at the end.
func TestFlowAtEnd(t *testing.T) {
	f := newFlowFixture(1000, Flows{})
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 1, "<nil>", closing(1000)+"1 flow of 1000 packets\n")
	if want := " 10.0.0.2:51324 > 60.235.240.157:443 0 packets 0 bytes, 1000 packets 60000 bytes [S.] back, 0.000s, new (shutdown)\n"; !strings.HasSuffix(f.out.String(), want) {
		t.Errorf("got %s, want %s", &f.out, want)
	}
}

// TestFirstIsWritten at once, and the others never.
func TestFirstIsWritten(t *testing.T) {
	f := newFlowFixture(1000, Flows{First: true})
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 1, "<nil>", closing(1000)+"1 of them the first of their conversations, 999 not\n")
}

// TestFlowLimitLive: what comes until the program is off is not counted.
func TestFlowLimitLive(t *testing.T) {
	f := newFlowFixture(1000, Flows{First: true})
	f.limit = 1
	f.check(t, f.run(context.Background()), 1, "<nil>",
		"stopped after 1; 999 more, which came until the program was off, are not counted\n"+closing(1)+"1 of them the first of their conversations, 0 not\n")
}

// TestFlowsToFullDisk: all flows that were not written are told, also those that were
// open.
func TestFlowsToFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, c := range []struct {
		first bool
		want  string
	}{{false, "1 flows"}, {true, "1 first packets of conversations"}} {
		f := newFlowFixture(10, Flows{First: c.first})
		f.Stdout = full
		f.signals <- os.Interrupt
		if got, want := fmt.Sprint(f.run(context.Background())), "write /dev/full: no space left on device: "+c.want+" not written"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// quiet is a source that captures one packet and then only lets deadlines pass.
type quiet struct {
	*eventtest.Source
	deadlines int
}

func (q *quiet) ReadPackets(packets []reader.Packet) (int, error) {
	switch q.deadlines++; q.deadlines {
	case 1:
		packets[0].Event = eventtest.Usual(func(e *reader.Event) { e.Time = time.Now().Add(-time.Minute) })
		q.Captured++
		return 1, nil
	case 2:
		return 0, fmt.Errorf("read events: %w", os.ErrDeadlineExceeded)
	}
	return q.Source.ReadPackets(packets)
}

// TestFlowsByTheClock: a flow ends where no further packet comes.
func TestFlowsByTheClock(t *testing.T) {
	f := newFixture(0)
	var deadlines []time.Time
	f.flows = &folding{Flows: Flows{Options: flow.Options{Idle: 10 * time.Second}}, deadline: func(at time.Time) { deadlines = append(deadlines, at) }}
	f.session.source = &quiet{Source: f.source}
	f.limit = 1
	err := f.run(context.Background())
	if err != nil || f.lines() != 1 || strings.Contains(f.out.String(), "shutdown") || len(deadlines) != 2 {
		t.Errorf("%v, %d deadlines, %s%s", err, len(deadlines), &f.out, &f.errs)
	}
}

// TestFlowsOfFault: an error of reading ends the flows, too.
func TestFlowsOfFault(t *testing.T) {
	f := newFlowFixture(0, Flows{})
	f.source.Err = errors.New("out of order")
	if err := f.run(context.Background()); fmt.Sprint(err) != "out of order" {
		t.Error(err)
	}
}

// TestFlowGreeting: where one side of conversations is seen, it is said.
func TestFlowGreeting(t *testing.T) {
	f := newFlowFixture(0, Flows{})
	f.oneSided = true
	f.greet()
	if got := f.errs.String(); !strings.Contains(got, ", received packets only: of each flow that side (both: --direction inout)") {
		t.Error(got)
	}
}
