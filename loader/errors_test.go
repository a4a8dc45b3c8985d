package loader

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestErrorsTold is what a program that embeds the package tells apart.
func TestErrorsTold(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{})

	t.Run("no such interface", func(t *testing.T) {
		_, err := Attach(coll, Options{Interface: "nosuch0", Namespace: lab.name})
		is(t, err, ErrNoInterface)
		_, err = Programs("nosuch0", lab.name)
		is(t, err, ErrNoInterface)
	})
	t.Run("no default route", func(t *testing.T) {
		_, err := DefaultInterface(lab.name)
		is(t, err, ErrNoDefaultRoute)
	})
	t.Run("nothing to take off", func(t *testing.T) {
		_, err := Detach("v0", lab.name)
		is(t, err, ErrNoProgram)
	})
	t.Run("watched by another", func(t *testing.T) {
		lab := newLab(t)
		owner := start(t, &namespace{}, nil, "v0", "auto", lab.name)
		for _, try := range map[string]func() error{
			"attach": func() error { _, err := Attach(coll, lab.options(Auto)); return err },
			"detach": func() error { _, err := Detach("v0", lab.name); return err },
		} {
			var watched *WatchedError
			if err := try(); !errors.As(err, &watched) || watched.PID != owner.Process.Pid {
				t.Errorf("%v is no WatchedError of process %d", err, owner.Process.Pid)
			}
		}
		programs, err := Programs("v0", lab.name)
		must(t, err)
		if len(programs) != 1 || programs[0].Owner == nil || programs[0].Owner.PID != owner.Process.Pid {
			t.Errorf("v0 has %v, want one program of process %d", programs, owner.Process.Pid)
		}
	})
	t.Run("another program there", func(t *testing.T) {
		lab := newLab(t)
		prog, id := stranger(t)
		lab.force(t, prog, Generic)
		_, err := Attach(coll, lab.options(Auto))
		var occupied *OccupiedError
		if want := (Program{ID: int(id), Mode: Generic, Name: "stranger"}); !errors.As(err, &occupied) || occupied.Program != want || occupied.Interface != "v0" {
			t.Errorf("%v is no OccupiedError of v0 with %v", err, want)
		}
	})
	t.Run("refused by the driver", func(t *testing.T) {
		_, err := Attach(coll, Options{Interface: "lo", Mode: Native, Namespace: lab.name})
		var refused *RefusedError
		if !errors.As(err, &refused) || len(refused.Refusals) != 1 || refused.Refusals[0].Mode != Native {
			t.Fatalf("%v is no RefusedError of mode native", err)
		}
		var errno unix.Errno
		if !errors.As(err, &errno) {
			t.Errorf("%v has no number of the kernel's", err)
		}
	})
	t.Run("no rights", func(t *testing.T) {
		err := explainAttach(unix.EPERM)
		is(t, err, fs.ErrPermission)
		is(t, explainLoad(&ebpf.VerifierError{Cause: unix.EACCES}, nil), fs.ErrPermission)
	})
	lab.bare(t)
}

// TestRefusalsAreOneLine speaks of each mode that was tried.
func TestRefusalsAreOneLine(t *testing.T) {
	err := &RefusedError{[]Refusal{{Native, unix.EOPNOTSUPP}, {Generic, unix.EBUSY}}}
	const want = "native XDP refused by driver: operation not supported; generic XDP too: device or resource busy"
	if err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
	is(t, err, unix.EOPNOTSUPP)
	is(t, err, unix.EBUSY)
}

// TestErrorsKnowNoCommand: a program that embeds the package has neither our
// flags nor our subcommands.
func TestErrorsKnowNoCommand(t *testing.T) {
	for file, text := range sources(t) {
		for line := range strings.Lines(text) {
			code, _, _ := strings.Cut(line, "// ")
			for _, words := range []string{" -i", "--netns", "--mode", "xdplog detach", "xdplog check"} {
				if strings.Contains(code, words) {
					t.Errorf("%s speaks of %q: %s", file, words, strings.TrimSpace(line))
				}
			}
		}
	}
}

// TestZeroValues answer with an error, or with nothing, and don't panic.
func TestZeroValues(t *testing.T) {
	privileged(t)
	must := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		} else {
			says(t, err)
		}
	}
	_, err := Attach(nil, Options{})
	must("Attach(nil)", err)
	_, err = Attach(&ebpf.Collection{}, Options{})
	must("Attach of an empty collection", err)
	_, err = Attach(&ebpf.Collection{Programs: map[string]*ebpf.Program{asm.ProgramName: {}}}, Options{})
	must("Attach of an empty program", err)
	coll := load(t, asm.Config{})
	_, err = Attach(coll, Options{})
	must("Attach to nothing", err)
	_, err = Attach(coll, Options{Mode: 9})
	must("Attach in no mode", err)
	_, err = Attach(coll, Options{Interface: "lo", Slot: 200})
	must("Attach of a program that there isn't", err)
	coll.Close()
	_, err = Attach(coll, Options{Interface: "lo"})
	must("Attach of a closed collection", err)

	_, err = LoadSpec(nil)
	must("LoadSpec(nil)", err)
	_, err = LoadSpec(&ebpf.CollectionSpec{})
	if err != nil {
		t.Errorf("LoadSpec of nothing: %v", err)
	}
	_, err = Load(asm.Config{Transport: 9})
	must("Load with no transport", err)
	_, err = CPUs(9)
	must("CPUs of no transport", err)
	_, err = Detach("", "")
	must("Detach of nothing", err)
	_, err = Programs("", "")
	must("Programs of nothing", err)
	must("Within, nothing", Within("", nil))
	_, err = ParseMode("")
	must("ParseMode of nothing", err)

	a := new(Attachment)
	must("Close", a.Close())
	if err, open := <-a.Lost(); open {
		t.Errorf("Lost says %v, want it to be closed", err)
	}
	if a.Interface() != "" || a.Index() != 0 || a.Mode() != Auto || a.Fallback() != nil || a.TookOver() != 0 || a.Speed() != 0 {
		t.Errorf("the zero attachment has %q %d %s %v %d %d", a.Interface(), a.Index(), a.Mode(), a.Fallback(), a.TookOver(), a.Speed())
	}
	for _, text := range []string{Mode(9).String(), Program{}.String(), (&WatchedError{}).Error(), (&OccupiedError{}).Error(), new(RefusedError).Error()} {
		if text == "" {
			t.Error("something says nothing")
		}
	}
}
