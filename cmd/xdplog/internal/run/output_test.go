package run

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/detail"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// failAfter takes so many bytes, and then fails.
type failAfter struct {
	left int
	err  error
}

func (w *failAfter) Write(b []byte) (int, error) {
	n := min(w.left, len(b))
	w.left -= n
	if n < len(b) {
		return n, w.err
	}
	return n, nil
}

// blocked takes nothing until it is opened.
type blocked chan struct{}

func (w blocked) Write(b []byte) (int, error) {
	<-w
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	f := newFixture(1000)
	event := eventtest.Usual()
	tenAndAHalf := len(f.format.AppendEvent(nil, &event, detail.Packet{})) * 21 / 2
	f.Stdout = &failAfter{tenAndAHalf, fmt.Errorf("write: %w", syscall.ENOSPC)}
	f.check(t, f.run(context.Background()), 0, "write: no space left on device: 990 captured events not written", closing(1000))
}

func TestClosedPipeEndsQuietly(t *testing.T) {
	f := newFixture(1000)
	f.Stdout = &failAfter{80, fmt.Errorf("write: %w", syscall.EPIPE)}
	f.check(t, f.run(context.Background()), 0, "<nil>", "nobody reads the output any more: 999 captured events not written\n")
}

// Also one where nothing is written.
func TestClosedPipeEndsAtOnce(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	f := newFixture(0)
	f.Stdout = write
	time.AfterFunc(10*time.Millisecond, func() { read.Close() })
	f.check(t, f.run(context.Background()), 0, "<nil>", "")
}

func TestEventsComePromptly(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	f := newFixture(0)
	f.Stdout = write
	done := make(chan error)
	go func() { done <- f.run(context.Background()) }()
	lines := bufio.NewReader(read)
	for range 3 {
		f.source.Capture(1)
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, " tcp ") {
			t.Errorf("line %q, %v", line, err)
		}
	}
	f.signals <- os.Interrupt
	f.check(t, <-done, 0, "<nil>", closing(3))
}

func TestBlockedStdoutDoesNotHoldTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(1000)
		stdout := make(blocked)
		defer close(stdout)
		f.Stdout = stdout
		start := time.Now()
		time.AfterFunc(time.Hour, func() { f.signals <- syscall.SIGTERM })
		f.check(t, f.run(context.Background()), 0, "output is blocked: 1000 captured events not written", closing(1000))
		if took := time.Since(start) - time.Hour; took > 2*term.Patience {
			t.Errorf("took %v", took)
		}
	})
}

func TestSecondSignalEndsDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(1000)
		stdout := make(blocked)
		defer close(stdout)
		f.Stdout = stdout
		f.signals <- os.Interrupt
		time.AfterFunc(300*time.Millisecond, func() { f.signals <- os.Interrupt })
		start := time.Now()
		f.check(t, f.run(context.Background()), 0, "interrupted while printing the rest: 1000 captured events not written", closing(1000))
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}
