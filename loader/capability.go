package loader

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// capability is the number of a capability, as in linux/capability.h.
type capability uint

func (c capability) String() string {
	switch c {
	case unix.CAP_NET_ADMIN:
		return "CAP_NET_ADMIN"
	case unix.CAP_NET_RAW:
		return "CAP_NET_RAW"
	case unix.CAP_SYS_ADMIN:
		return "CAP_SYS_ADMIN"
	case unix.CAP_PERFMON:
		return "CAP_PERFMON"
	default:
		return "CAP_BPF"
	}
}

// missing is those of the wanted capabilities that this thread doesn't have
// in force; none if that can't be told. CAP_SYS_ADMIN stands for CAP_BPF and
// CAP_PERFMON, which were parts of it until Linux 5.8.
func missing(wanted ...capability) []capability {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 is two words of 32 capabilities
	if unix.Capget(&header, &data[0]) != nil {
		return nil
	}
	return lacking(uint64(data[1].Effective)<<32|uint64(data[0].Effective), wanted)
}

func lacking(effective uint64, wanted []capability) []capability {
	has := func(c capability) bool { return effective&(1<<c) != 0 }
	var lacks []capability
	for _, c := range wanted {
		implied := (c == unix.CAP_BPF || c == unix.CAP_PERFMON) && has(unix.CAP_SYS_ADMIN)
		if !has(c) && !implied {
			lacks = append(lacks, c)
		}
	}
	return lacks
}

// needs names what is missing and how to get it: with the three that every run takes, as
// setcap(8) takes away what it does not name.
func needs(missing []capability) string {
	names := make([]string, len(missing))
	for i, c := range missing {
		names[i] = c.String()
	}
	verb := "is"
	if len(names) > 1 {
		verb = "are"
	}
	grant := []string{"cap_bpf", "cap_net_admin", "cap_perfmon"}
	for _, name := range names {
		if name = strings.ToLower(name); !slices.Contains(grant, name) {
			grant = append(grant, name)
		}
	}
	return strings.Join(names, " and ") + " " + verb + " missing: run as root, or grant " +
		strings.Join(grant, ",") + "+ep with setcap"
}

// forbidden says what else forbids something to one who has the capabilities
// for it.
func forbidden() string {
	if confined() {
		return "this is a user namespace (a rootless container?), where capabilities don't count for bpf(2): run outside of it"
	}
	if filtered() {
		return "the capabilities are there, so the seccomp profile in force forbids it: allow bpf(2) in it"
	}
	return "the capabilities are there, and no seccomp profile is, so a security module forbids it: /sys/kernel/security/lsm lists them"
}

// confined reports whether this is a user namespace other than the first one, the
// only one whose capabilities count everywhere, and in which all ids are mapped.
func confined() bool {
	ids, err := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(ids))
	return err == nil && (len(f) != 3 || f[2] != "4294967295")
}

// filtered reports whether a seccomp profile is in force. It takes no /proc.
func filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	const filter = 2                                    // SECCOMP_MODE_FILTER
	return mode == filter || errors.Is(err, unix.EPERM) // or one that forbids to ask
}
