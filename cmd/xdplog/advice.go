package main

import (
	"errors"
	"fmt"

	"github.com/xdplog/xdplog/loader"
)

// advise adds to an error of package loader what to do about it here: which
// flag or command helps, of which the package knows nothing.
func advise(err error) error {
	var occupied *loader.OccupiedError
	switch {
	case errors.Is(err, loader.ErrNoDefaultRoute):
		return fmt.Errorf("%w: name an interface with -i", err)
	case errors.Is(err, loader.ErrOutOfReach):
		return fmt.Errorf("%w: take it off there with xdplog detach --netns", err)
	case errors.As(err, new(*loader.ReturnsError)):
		return fmt.Errorf("%w: look at tc with --place tc, or take --mode generic all the same", err)
	case errors.As(err, &occupied) && occupied.Program.Name == "":
		return fmt.Errorf("%w: xdplog replaces none but its own, so take it off first, or if a killed xdplog left it, run xdplog detach as root", err)
	case errors.As(err, &occupied):
		return fmt.Errorf("%w: xdplog replaces none but its own, so take it off first", err)
	}
	return err
}
