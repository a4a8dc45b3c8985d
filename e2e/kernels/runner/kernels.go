package main

import (
	"fmt"
	"slices"
	"strings"
)

// A kernel is one that the tests run under, as Debian packages it. Its
// packages are named prefix, release, flavour.
type kernel struct {
	series   string // what it is called here
	machine  machine
	suite    string   // where its packages are
	prefixes []string // of the packages that it comes in
	pinned   string   // the release that is wanted
	others   string   // what releases begin with that will do as well
	oldest   bool     // of the others, take the oldest; otherwise the newest
}

// A machine is what QEMU emulates.
type machine struct {
	arch    string   // as Go calls it
	debian  string   // as Debian does
	flavour string   // how names of its kernels end
	qemu    string   // the program, and the package that it is in
	args    []string // its arguments, but for those of every machine
	console string

	taps     bool // the host lets it have taps
	counts   bool // its clock counts instructions, each a nanosecond
	allCards bool // has every NIC that QEMU has, and Debian's ordinary kernels, which have their drivers
}

// Debian has small kernels, for clouds, for two of them, which have hardly any drivers of NICs.
var (
	amd64   = machine{arch: "amd64", debian: "amd64", flavour: "-cloud-amd64", qemu: "qemu-system-x86_64", args: []string{"-M", "pc", "-cpu", "max"}, console: "ttyS0"}
	arm64   = machine{arch: "arm64", debian: "arm64", flavour: "-cloud-arm64", qemu: "qemu-system-aarch64", args: []string{"-M", "virt", "-cpu", "cortex-a57"}, console: "ttyAMA0"}
	s390x   = machine{arch: "s390x", debian: "s390x", flavour: "-s390x", qemu: "qemu-system-s390x", args: []string{"-M", "s390-ccw-virtio", "-cpu", "max"}, console: "ttysclp0"}
	riscv64 = machine{arch: "riscv64", debian: "riscv64", flavour: "-riscv64", qemu: "qemu-system-riscv64", args: []string{"-M", "virt"}, console: "ttyS0"}
	ppc64le = machine{arch: "ppc64le", debian: "ppc64el", flavour: "-powerpc64le", qemu: "qemu-system-ppc64", args: []string{"-M", "pseries", "-cpu", "power9"}, console: "hvc0"}
	i386    = machine{arch: "386", debian: "i386", flavour: "-686-pae", qemu: "qemu-system-i386", args: []string{"-M", "pc", "-cpu", "coreduo"}, console: "ttyS0"}
	armhf   = machine{arch: "arm", debian: "armhf", flavour: "-armmp-lpae", qemu: "qemu-system-arm", args: []string{"-M", "virt", "-cpu", "cortex-a15"}, console: "ttyAMA0"}
	nics    = machine{arch: "amd64", debian: "amd64", flavour: "-amd64", qemu: "qemu-system-x86_64", args: []string{"-M", "q35", "-cpu", "max"}, console: "ttyS0", allCards: true}

	image = []string{"linux-image-"}
	split = []string{"linux-binary-", "linux-modules-"}
)

// kernels are those that there are, the oldest first: the floor, the long-term
// ones after it, and the newest.
func kernels() []kernel {
	return []kernel{
		{series: "5.10", machine: amd64, suite: "bullseye", prefixes: image, pinned: "5.10.0-30", others: "5.10.", oldest: true}, // 5.10.218
		{series: "6.1", machine: amd64, suite: "bookworm", prefixes: image, pinned: "6.1.0-47", others: "6.1."},
		{series: "6.12", machine: amd64, suite: "trixie", prefixes: image, pinned: "6.12.94+deb13", others: "6.12."},
		{series: "7.3", machine: amd64, suite: "trixie-backports", prefixes: split, pinned: "7.3.4+deb13", others: "7."},

		{series: "5.10-arm64", machine: arm64, suite: "bullseye", prefixes: image, pinned: "5.10.0-30", others: "5.10.", oldest: true},
		{series: "6.12-arm64", machine: arm64, suite: "trixie", prefixes: image, pinned: "6.12.94+deb13", others: "6.12."},
		{series: "6.1-s390x", machine: s390x, suite: "bookworm", prefixes: image, pinned: "6.1.0-50", others: "6.1."}, // big-endian
		{series: "6.12-s390x", machine: s390x, suite: "trixie", prefixes: image, pinned: "6.12.107+deb13", others: "6.12."},
		{series: "6.12-riscv64", machine: riscv64, suite: "trixie", prefixes: image, pinned: "6.12.117+deb13", others: "6.12."},
		{series: "6.1-ppc64el", machine: ppc64le, suite: "bookworm", prefixes: image, pinned: "6.1.0-50", others: "6.1."}, // pages of 64 KiB
		{series: "6.12-ppc64el", machine: ppc64le, suite: "trixie", prefixes: image, pinned: "6.12.117+deb13", others: "6.12."},
		{series: "6.1-i386", machine: i386, suite: "bookworm", prefixes: image, pinned: "6.1.0-50", others: "6.1."}, // 32 bits
		{series: "6.12-armhf", machine: armhf, suite: "trixie", prefixes: image, pinned: "6.12.117+deb13", others: "6.12."},

		{series: "5.10-nics", machine: nics, suite: "bullseye", prefixes: image, pinned: "5.10.0-30", others: "5.10.", oldest: true},
		{series: "6.1-nics", machine: nics, suite: "bookworm", prefixes: image, pinned: "6.1.0-50", others: "6.1."},
		{series: "6.12-nics", machine: nics, suite: "trixie", prefixes: image, pinned: "6.12.117+deb13", others: "6.12."},
		{series: "7.3-nics", machine: nics, suite: "trixie-backports", prefixes: split, pinned: "7.3.4+deb13", others: "7."},
	}
}

// choose returns the kernels that are named, and where none is, the small ones for amd64.
func choose(named []string) (chosen []kernel, err error) {
	all := kernels()
	if len(named) == 0 {
		return slices.DeleteFunc(all, func(k kernel) bool { return k.machine.arch != "amd64" || k.machine.allCards }), nil
	}
	for _, name := range named {
		i := slices.IndexFunc(all, func(k kernel) bool { return k.series == name })
		if i < 0 {
			return nil, fmt.Errorf("no kernel %s: there are %s", name, seriesOf(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func seriesOf(kernels []kernel) string {
	var names []string
	for _, k := range kernels {
		names = append(names, k.series)
	}
	return strings.Join(names, ", ")
}

// flavours are how names of other kernels end before what ours end in.
var flavours = []string{"-cloud", "-rt"}

// packages returns the names of a release's packages.
func (k kernel) packages(release string) []string {
	var names []string
	for _, prefix := range k.prefixes {
		names = append(names, prefix+release+k.machine.flavour)
	}
	return names
}

// release chooses among the packages that there are.
func (k kernel) release(available []string) (string, error) {
	var releases []string
	for _, name := range available {
		rest, isOurs := strings.CutPrefix(name, k.prefixes[0]+k.others)
		rest, hasFlavour := strings.CutSuffix(rest, k.machine.flavour)
		release := k.others + rest
		if slices.ContainsFunc(flavours, func(f string) bool { return strings.HasSuffix(rest, f) }) {
			continue
		}
		if isOurs && hasFlavour && !slices.ContainsFunc(k.packages(release), func(p string) bool { return !slices.Contains(available, p) }) {
			releases = append(releases, release)
		}
	}
	slices.SortFunc(releases, compareReleases)
	switch {
	case slices.Contains(releases, k.pinned):
		return k.pinned, nil
	case len(releases) == 0:
		return "", fmt.Errorf("%s has no kernel %s", k.suite, k.series)
	case k.oldest:
		return releases[0], nil
	default:
		return releases[len(releases)-1], nil
	}
}

// compareReleases orders releases by the numbers in them.
func compareReleases(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(text string) (all []int) {
	inside := false
	for _, c := range text {
		digit := c >= '0' && c <= '9'
		if digit && !inside {
			all = append(all, 0)
		}
		if digit {
			all[len(all)-1] = all[len(all)-1]*10 + int(c-'0')
		}
		inside = digit
	}
	return all
}
