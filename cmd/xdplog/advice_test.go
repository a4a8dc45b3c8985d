package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xdplog/xdplog/loader"
)

func TestAdvise(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("no"), "no"},
		{fmt.Errorf("%w (have: lo)", loader.ErrNoDefaultRoute), "no default route (have: lo): name an interface with -i"},
		{&loader.OccupiedError{Interface: "eth0", Program: loader.Program{ID: 7, Name: "other", Mode: loader.Native}},
			"eth0 has another XDP program, id 7 (other), native: xdplog replaces none but its own, so take it off first"},
		{&loader.OccupiedError{Interface: "eth0", Program: loader.Program{ID: 7, Mode: loader.Native}},
			"eth0 has another XDP program, " + loader.Program{ID: 7, Mode: loader.Native}.String() +
				": xdplog replaces none but its own, so take it off first, or if a killed xdplog left it, run xdplog detach as root"},
		{fmt.Errorf("interface eth0 was %w, and program 7 with it", loader.ErrOutOfReach),
			"interface eth0 was moved to another network namespace, and program 7 with it: take it off there with xdplog detach --netns"},
	} {
		if err := advise(test.err); err.Error() != test.want || !errors.Is(err, test.err) {
			t.Errorf("the advice is\n%v, want\n%s", err, test.want)
		}
	}
	if err := advise(nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}
