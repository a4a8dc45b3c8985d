package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// watch draws a table on the terminal until somebody has seen enough, and then prints
// that of the whole run.
func (o *Options) watch(ctx context.Context, env run.Environment) error {
	out := term.NewPatientWriter(env.Stdout)
	said := &held{to: env.Stderr}
	env.Stderr = said
	w := &watcher{options: o, out: out, said: said, screen: screen{color: o.Color}, duration: o.Run.Duration}
	o.Run.Duration = 0 // which is that of all captures together
	defer said.release()
	defer w.leave() // also when something panics
	for {
		again, err := w.capture(ctx, env)
		if again && err == nil {
			continue
		}
		w.leave()
		if w.history != nil {
			_, wrote := env.Stdout.Write(o.append(nil, w.history.all(o, o.lines())))
			err = run.OneOf(err, term.OrClosed(wrote))
		}
		return err
	}
}

// A watcher has a terminal.
type watcher struct {
	options  *Options
	out      io.Writer
	said     *held
	keyboard *term.Keyboard // nil: there is none
	screen   screen
	on       bool // the screen is ours
	history  *history
	picture  picture
	typing   bool          // a filter
	filter   string        // as far as it is typed
	refused  bool          // that made no sense
	again    bool          // the options have changed: capture anew
	duration time.Duration // 0: no end
	end      time.Time     // of that, from the first capture on
	stop     context.CancelFunc
}

// capture is one capture, by the key and filter that the options have. It returns
// again where they have changed.
func (w *watcher) capture(ctx context.Context, env run.Environment) (again bool, err error) {
	w.again = false
	c, count, err := w.options.start(env)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if !w.on {
		c.Greet()
		if err := w.enter(env); err != nil {
			return false, err
		}
	}
	w.history = newHistory(count, w.options.Rows, time.Now())
	if w.duration > 0 {
		if w.end.IsZero() {
			w.end = time.Now().Add(w.duration)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, w.end)
		defer cancel()
	}
	w.picture = picture{where: strings.Join(c.Interfaces(), " "), aligned: w.picture.aligned}
	ctx, w.stop = context.WithCancel(ctx)
	defer w.stop()
	over, done := make(chan struct{}), make(chan struct{})
	var shown error
	var panicked string
	go func() {
		defer close(done)
		defer w.stop()
		defer func() {
			if r := recover(); r != nil { // the owner panics, after it has cleaned up
				panicked = fmt.Sprintf("%v\n\n%s", r, debug.Stack())
			}
		}()
		shown = w.show(over)
	}()
	err = c.Run(ctx)
	close(over)
	<-done
	if panicked != "" {
		panic(panicked)
	}
	if w.again {
		w.said.forget() // the counters of a run that goes on
	}
	return w.again, run.OneOf(err, shown)
}

// enter takes the terminal.
func (w *watcher) enter(env run.Environment) error {
	if term.IsTerminal(env.Stdin) && w.keyboard == nil {
		keyboard, err := term.OpenKeyboard(env.Stdin)
		if err != nil {
			return err
		}
		w.keyboard = keyboard
	}
	w.said.hold()
	w.on = true
	_, err := io.WriteString(w.out, enter)
	w.screen.resize(term.Size(w.out))
	return err
}

// leave gives the terminal back as it was.
func (w *watcher) leave() {
	if !w.on {
		return
	}
	w.on = false
	io.WriteString(w.out, leave)
	if w.keyboard != nil {
		w.keyboard.Close()
		w.keyboard = nil
	}
}

// suspend is what Ctrl-Z asks for: the terminal is the shell's until it says to go on.
func (w *watcher) suspend(goOn <-chan os.Signal) error {
	io.WriteString(w.out, leave)
	if w.keyboard != nil {
		w.keyboard.Suspend()
	}
	if err := unix.Kill(unix.Getpid(), unix.SIGSTOP); err != nil {
		return err
	}
	<-goOn
	return nil
}

// resume takes the terminal again, after whatever was.
func (w *watcher) resume() error {
	if w.keyboard != nil {
		if err := w.keyboard.Resume(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w.out, enter)
	w.screen.resize(term.Size(w.out))
	return err
}

// show draws until over is closed, which it may ask for itself.
func (w *watcher) show(over <-chan struct{}) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGWINCH)
	suspend := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(suspend, unix.SIGTSTP)
	}
	resume := make(chan os.Signal, 1)
	signal.Notify(resume, unix.SIGCONT)
	defer signal.Stop(signals)
	defer signal.Stop(suspend)
	defer signal.Stop(resume)

	ticker := time.NewTicker(w.options.Interval)
	defer ticker.Stop()
	var typing <-chan []byte
	if w.keyboard != nil {
		typing = w.keyboard.Keys()
	}
	w.sort()
	for {
		w.draw()
		select {
		case <-over:
			return w.history.read(time.Now())
		case now := <-ticker.C:
			if err := w.history.read(now); err != nil {
				return err
			}
			if !w.picture.paused {
				w.sort()
			}
		case b := <-typing:
			for _, k := range typed(b) {
				w.press(k)
			}
		case <-signals:
			w.screen.resize(term.Size(w.out))
		case <-suspend:
			if err := w.suspend(resume); err != nil {
				return err
			}
			if err := w.resume(); err != nil {
				return err
			}
		case <-resume: // after a stop that nobody told of
			if err := w.resume(); err != nil {
				return err
			}
		}
	}
}

// most is how many rows are sorted at most: more than any terminal shows.
const most = 1000

// sort has the picture be of what is counted now.
func (w *watcher) sort() {
	n := most
	if w.options.Lines > 0 {
		n = min(n, w.options.Lines)
	}
	w.picture.table = w.history.live(w.options, n)
}

// draw brings the terminal up to date. Where it takes nothing just now, it is drawn
// anew the next time.
func (w *watcher) draw() {
	p := w.picture
	p.filter, p.sort = w.options.Filter, w.options.Sort
	if p.status == "" {
		p.status = w.said.last()
	}
	if w.typing {
		p.status = "filter: " + w.filter + "_"
	}
	b := w.screen.update(p.draw(w.screen.columns, w.screen.height))
	w.picture.aligned = p.aligned
	if _, err := w.out.Write(b); err != nil {
		w.screen.shown = nil
	}
}
