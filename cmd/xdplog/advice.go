package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/capfile"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

// advise adds to an error of package loader what to do about it here: which
// flag or command helps, of which the package knows nothing. interfaces are those
// that were named.
func advise(err error, interfaces []string) error {
	var occupied *loader.OccupiedError
	var watched *loader.WatchedError
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), unix.EMFILE.Error()): // by its words: where descriptors are cloned, cilium/ebpf gives no more
		return fmt.Errorf("%w: raise the limit with ulimit -n 1024, or LimitNOFILE= in a systemd unit", err)
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: raise the system's limit with sysctl fs.file-max", err)
	case errors.Is(err, capfile.ErrOneLinkType):
		return fmt.Errorf("%w: leave out --pcap", err)
	case errors.Is(err, loader.ErrNoDefaultRoute):
		return fmt.Errorf("%w: name an interface with -i", err)
	case errors.Is(err, loader.ErrNoInterface) && slices.Contains(interfaces, "any"):
		return fmt.Errorf("%w: name each interface with an -i of its own, or take -i all", err)
	case errors.Is(err, loader.ErrNoInterface) && len(interfaces) > 1 && slices.Contains(interfaces, run.AllInterfaces):
		return fmt.Errorf("%w: -i all stands alone", err)
	case errors.Is(err, loader.ErrNoInterface) && slices.ContainsFunc(interfaces, isList):
		return fmt.Errorf("%w: an -i names one interface, so take %s", err, apart(interfaces))
	case errors.Is(err, loader.ErrOutOfReach):
		return fmt.Errorf("%w: take it off there with xdplog detach --netns", err)
	case errors.As(err, new(*loader.ReturnsError)):
		return fmt.Errorf("%w: look at tc with --place tc, or take --mode generic all the same", err)
	case errors.As(err, &watched) && watched.PID != os.Getpid():
		return fmt.Errorf("%w: stop it first", err)
	case errors.As(err, &occupied) && occupied.Program.Name == "":
		return fmt.Errorf("%w: xdplog replaces none but its own, so take it off first, or if a killed xdplog left it, run xdplog detach as root", err)
	case errors.As(err, &occupied):
		return fmt.Errorf("%w: xdplog replaces none but its own, so take it off first", err)
	}
	return err
}

// namedInterfaces are the values of a command's -i.
func namedInterfaces(cmd *cobra.Command) []string {
	if flag := cmd.Flags().Lookup("iface"); flag != nil {
		if v, ok := flag.Value.(value[[]string]); ok {
			return *v.target
		}
	}
	return nil
}

// isList says whether a name is perhaps those of several interfaces: tools that
// take "eth0,eth1" exist, and so may an interface of that name.
func isList(name string) bool { return strings.Contains(name, ",") }

// apart are the flags that name each interface by itself.
func apart(interfaces []string) string {
	var flags []string
	for _, name := range interfaces {
		for part := range strings.SplitSeq(name, ",") {
			if flag := "-i " + part; part != "" && !slices.Contains(flags, flag) {
				flags = append(flags, flag)
			}
		}
	}
	return strings.Join(flags, " ")
}
