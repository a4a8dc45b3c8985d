package top

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// TestPrinterWait: a write that nobody takes is given up; to count for long before it is not.
func TestPrinterWait(t *testing.T) {
	for name, c := range map[string]struct {
		read bool
		want error
	}{"slow counts": {true, nil}, "nobody reads": {false, term.ErrStuck}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, to := io.Pipe()
				p := &printer{to: &steady{to: to}, done: make(chan struct{})}
				go func() {
					defer close(p.done)
					time.Sleep(5 * term.Patience)
					p.to.Write(make([]byte, 100_000))
				}()
				if c.read {
					go io.Copy(io.Discard, from)
				}
				if err := p.wait(); !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				from.Close()
				to.Close()
			})
		})
	}
}
