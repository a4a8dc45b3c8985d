package main

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/xdplog/xdplog/loader"
)

func TestAdvise(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("no"), "no"},
		{errors.New("can't dup fd: too many open files"), "can't dup fd: too many open files: raise the limit with ulimit -n 1024, or LimitNOFILE= in a systemd unit"},
		{fmt.Errorf("%w (have: lo)", loader.ErrNoDefaultRoute), "no default route (have: lo): name an interface with -i"},
		{&loader.OccupiedError{Interface: "eth0", Program: loader.Program{ID: 7, Name: "other", Mode: loader.Native}},
			"eth0 has another XDP program, id 7 (other), native: xdplog replaces none but its own, so take it off first"},
		{&loader.OccupiedError{Interface: "eth0", Program: loader.Program{ID: 7, Mode: loader.Native}},
			"eth0 has another XDP program, " + loader.Program{ID: 7, Mode: loader.Native}.String() +
				": xdplog replaces none but its own, so take it off first, or if a killed xdplog left it, run xdplog detach as root"},
		{fmt.Errorf("eth0 is %w", &loader.WatchedError{PID: 1}), "eth0 is already watched by xdplog, process 1: stop it first"},
		{fmt.Errorf("eth0 is %w", &loader.WatchedError{PID: os.Getpid()}), "eth0 is already watched by this process, perhaps by another of its names: attach once"},
		{fmt.Errorf("interface eth0 was %w, and program 7 with it", loader.ErrOutOfReach),
			"interface eth0 was moved to another network namespace, and program 7 with it: take it off there with xdplog detach --netns"},
	} {
		if err := advise(test.err, nil); err.Error() != test.want || !errors.Is(err, test.err) {
			t.Errorf("the advice is\n%v, want\n%s", err, test.want)
		}
	}
	if err := advise(nil, nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}

func TestAdviseNames(t *testing.T) {
	none := fmt.Errorf("%w (have: lo, eth0, eth1)", loader.ErrNoInterface)
	for _, test := range []struct {
		interfaces []string
		want       string
	}{
		{[]string{"eht0"}, none.Error()},
		{[]string{"any"}, none.Error() + ": name each interface with an -i of its own, or take -i all"},
		{[]string{"eth0", "all"}, none.Error() + ": -i all stands alone"},
		{[]string{"eth0,eth1"}, none.Error() + ": an -i names one interface, so take -i eth0 -i eth1"},
		{[]string{"lo", "eth0,eth1"}, none.Error() + ": an -i names one interface, so take -i lo -i eth0 -i eth1"},
		{[]string{"eth0", "eth0,eth1,"}, none.Error() + ": an -i names one interface, so take -i eth0 -i eth1"},
	} {
		if err := advise(none, test.interfaces); err.Error() != test.want {
			t.Errorf("%q: the advice is\n%v, want\n%s", test.interfaces, err, test.want)
		}
	}
}
