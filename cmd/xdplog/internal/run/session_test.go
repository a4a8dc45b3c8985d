package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/loader"
)

// fakeAttachment is one to eth0.
type fakeAttachment struct {
	lost     chan error
	fallback error
	tookOver int
	down     bool
	closeErr error
	close    sync.Once
	off      []string
	refusals int           // times that it can't be taken off, yet
	detached chan struct{} // closed when it is off
}

func newFakeAttachment() *fakeAttachment {
	return &fakeAttachment{lost: make(chan error, 1), detached: make(chan struct{})}
}

func (*fakeAttachment) Interface() string                             { return "eth0" }
func (*fakeAttachment) Place() asm.Place                              { return asm.XDP }
func (*fakeAttachment) Mode() loader.Mode                             { return loader.Generic }
func (a *fakeAttachment) Down() bool                                  { return a.down }
func (*fakeAttachment) Beside() *loader.Program                       { return nil }
func (a *fakeAttachment) Fallback() error                             { return a.fallback }
func (*fakeAttachment) Returns() error                                { return nil }
func (*fakeAttachment) Blind() string                                 { return "" }
func (*fakeAttachment) VirtualFunctions() int                         { return 0 }
func (a *fakeAttachment) SwitchedOff() []string                       { return a.off }
func (*fakeAttachment) TellsHash() bool                               { return false }
func (*fakeAttachment) AsksTime() bool                                { return false }
func (*fakeAttachment) HardwareClock() (*loader.HardwareClock, error) { return nil, nil }
func (*fakeAttachment) HidesTags() bool                               { return false }
func (a *fakeAttachment) Away() time.Duration                         { return 0 }
func (a *fakeAttachment) TookOver() int                               { return a.tookOver }
func (a *fakeAttachment) Lost() <-chan error                          { return a.lost }
func (a *fakeAttachment) Close() error {
	if a.refusals > 0 {
		a.refusals--
		return errUpper
	}
	a.close.Do(func() { close(a.detached); close(a.lost) })
	return a.closeErr
}

// above has the attachment be beneath another's program for some tries.
func (a *fakeAttachment) above(tries int) { a.refusals = tries }

var errUpper = fmt.Errorf("take program 7 off eth0: %w", &loader.UpperError{Interface: "eth0", Upper: "br0"})

// A fixture is a session over fakes.
type fixture struct {
	session
	source     *eventtest.Source
	attachment *fakeAttachment
	signals    chan os.Signal
	out, errs  bytes.Buffer
}

func newFixture(captured int) *fixture {
	f := &fixture{source: eventtest.NewSource(captured), attachment: newFakeAttachment(), signals: make(chan os.Signal, 4)}
	f.session = session{
		source: f.source, attachments: []attachment{f.attachment},
		format:      format.Default().New(format.Options{Interfaces: eventtest.Interfaces}),
		Environment: Environment{Stdout: &f.out, Stderr: &f.errs, Signals: f.signals},
	}
	return f
}

// kindOf is a kind of format by its name.
func kindOf(t *testing.T, name string) format.Kind {
	t.Helper()
	kind, err := format.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

// lines is the number of whole lines that were printed.
func (f *fixture) lines() int { return strings.Count(f.out.String(), "\n") }

func closing(n int) string {
	return string(format.None().New(format.Options{}).AppendCounters(nil, wire.Counters{Captured: uint64(n)}, eventtest.Time))
}

// check expects the outcome of a run that has detached.
func (f *fixture) check(t *testing.T, err error, lines int, wantErr, stderr string) {
	t.Helper()
	select {
	case <-f.attachment.detached:
	default:
		t.Error("still attached")
	}
	if got := fmt.Sprint(err); got != wantErr {
		t.Errorf("error %q, want %q", got, wantErr)
	}
	if f.lines() != lines {
		t.Errorf("%d lines, want %d", f.lines(), lines)
	}
	if f.errs.String() != stderr {
		t.Errorf("stderr %q, want %q", f.errs.String(), stderr)
	}
}

func TestSignalDrains(t *testing.T) {
	f := newFixture(5000)
	f.signals <- syscall.SIGTERM
	f.check(t, f.run(context.Background()), 5000, "<nil>", closing(5000))
}

// TestDown says that nothing will come.
func TestDown(t *testing.T) {
	f := newFixture(0)
	f.attachment.down = true
	f.greet()
	want := "listening on eth0 (generic XDP), received packets only; Ctrl-C ends\neth0 is down, and receives nothing until it is set up: ip link set eth0 up\n"
	if f.errs.String() != want {
		t.Errorf("it says %q, want %q", f.errs.String(), want)
	}
}

// TestAsked prints the counters meanwhile.
func TestAsked(t *testing.T) {
	f := newFixture(5000)
	asked := make(chan os.Signal)
	f.Asked = asked
	ended := make(chan error)
	go func() { ended <- f.run(context.Background()) }()
	asked <- syscall.SIGUSR1
	asked <- syscall.SIGUSR1 // the first has been answered
	f.signals <- syscall.SIGTERM
	f.check(t, <-ended, 5000, "<nil>", strings.Repeat(closing(5000), 3))
}

// TestWaitsForUpper: what another's program above keeps on is taken off later.
func TestWaitsForUpper(t *testing.T) {
	f := newFixture(3)
	f.attachment.above(2)
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 3, "<nil>", "waits to "+errUpper.Error()+"; Ctrl-C leaves the program there\n"+closing(3))
}

// TestLeavesBeneathUpper: another signal ends the wait.
func TestLeavesBeneathUpper(t *testing.T) {
	f := newFixture(3)
	f.attachment.above(1 << 30)
	f.signals <- os.Interrupt
	f.signals <- os.Interrupt // an echo as long as it is early, and the end of the wait then
	err := f.run(context.Background())
	if want := "left in place: " + errUpper.Error(); fmt.Sprint(err) != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if f.lines() != 3 {
		t.Errorf("%d lines, want 3", f.lines())
	}
}

// Two of the same, as timeout(1) and a terminal send, are one.
func TestSignalTwiceAtOnceDrains(t *testing.T) {
	f := newFixture(5000)
	f.signals <- os.Interrupt
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 5000, "<nil>", closing(5000))
}

func TestDurationDrains(t *testing.T) {
	f := newFixture(10)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	f.check(t, f.run(ctx), 10, "<nil>", closing(10))
}

// TestCounting: of what an interface receives, too, the number is all that is printed.
func TestCounting(t *testing.T) {
	f := newFixture(5000)
	f.format = format.None().New(format.Options{})
	f.counting, f.skip = true, 3
	f.signals <- syscall.SIGTERM
	f.check(t, f.run(context.Background()), 1, "<nil>", closing(5000)+"3 of the captured packets were left out\n")
	if f.out.String() != "4997 packets\n" {
		t.Errorf("stdout is %q", f.out.String())
	}
}

func TestLimitIsExact(t *testing.T) {
	for _, limit := range []uint64{1, 255, 256, 257, 999} {
		f := newFixture(1000)
		f.limit = limit
		f.check(t, f.run(context.Background()), int(limit), "<nil>",
			fmt.Sprintf("stopped after %d; %d more, which came until the program was off, are not counted\n", limit, 1000-limit)+closing(int(limit)))
	}
	f := newFixture(1000)
	f.limit = 1000
	f.check(t, f.run(context.Background()), 1000, "<nil>", closing(1000))
}

func TestQuiet(t *testing.T) {
	f := newFixture(1000)
	f.limit, f.quiet = 7, true
	f.greet()
	f.check(t, f.run(context.Background()), 7, "<nil>", "")
}

func TestGreeting(t *testing.T) {
	f := newFixture(0)
	f.attachment.fallback = errors.New("native XDP refused by driver: no room")
	f.attachment.tookOver = 42
	f.attachment.off = []string{"rx-lro", "rx-gro-hw"}
	f.greet()
	want := "took eth0 over from a killed xdplog (program 42)\n" +
		"listening on eth0 (generic XDP; native XDP refused by driver: no room; meanwhile off: rx-lro, rx-gro-hw), received packets only; Ctrl-C ends\n"
	if f.errs.String() != want {
		t.Errorf("got %q, want %q", f.errs.String(), want)
	}
}

func TestStats(t *testing.T) {
	f := newFixture(3)
	f.stats, f.quiet, f.format = time.Millisecond, true, kindOf(t, "json").New(format.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(f.errs.String(), `"stats":{"seen":3,"matched":3,"sampled_out":0,"captured":3,"lost":0,"matched_bytes":0,"captured_bytes":0,"lost_bytes":0},"rates":{"seen":`); n < 2 {
		t.Errorf("%d stats lines: %q", n, f.errs.String())
	}
}

func TestInterfaceLost(t *testing.T) {
	f := newFixture(3)
	f.attachment.lost <- errors.New("interface eth0 is gone (deleted)")
	f.check(t, f.run(context.Background()), 3, "interface eth0 is gone (deleted)", closing(3))
}

func TestProgramReplacedIsToldOnce(t *testing.T) {
	f := newFixture(0)
	f.attachment.lost <- fmt.Errorf("the program was %w by another", loader.ErrReplaced)
	f.attachment.closeErr = loader.ErrReplaced
	f.check(t, f.run(context.Background()), 0, "the program was "+loader.ErrReplaced.Error()+" by another", closing(0))
}

func TestReadFails(t *testing.T) {
	f := newFixture(0)
	f.source.Err = errors.New("read events: no such luck")
	f.check(t, f.run(context.Background()), 0, "read events: no such luck", closing(0))
}

func TestDetachFails(t *testing.T) {
	f := newFixture(1)
	f.attachment.closeErr = errors.New("take program off: not today")
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 1, "take program off: not today", closing(1))
}

func TestUndeliveredEventsAreTold(t *testing.T) {
	f := newFixture(3)
	f.source.Captured += 2
	f.signals <- os.Interrupt
	f.check(t, f.run(context.Background()), 3, "2 captured events were not delivered", closing(5))
}

// A panic where events are printed leaves no program behind.
func TestPanicDetaches(t *testing.T) {
	f := newFixture(1)
	f.format = nil
	defer func() {
		if recover() == nil {
			t.Error("the panic got lost")
		}
		<-f.attachment.detached
	}()
	f.run(context.Background())
}
