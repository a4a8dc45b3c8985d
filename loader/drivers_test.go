package loader

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/drivers.md")

var manners = map[manner]string{
	unknown: "not known: generic", gentle: "**native**: nothing is lost", asSlaves: "as the interfaces below it",
	stops: "generic: natively it stops for a moment", resets: "generic: natively the link goes down", none: "generic: it takes no native program",
}

// TestDriversPage: docs/drivers.md says what the table does.
func TestDriversPage(t *testing.T) {
	const page, begin, end = "../docs/drivers.md", "<!-- drivers -->\n", "<!-- end -->"
	var table strings.Builder
	table.WriteString("| driver | what auto takes, and why | known from |\n|---|---|---|\n")
	for _, m := range []manner{gentle, asSlaves, resets, stops, none, unknown} {
		for _, name := range slices.Sorted(maps.Keys(drivers)) {
			if d := drivers[name]; d.manner == m {
				taken := manners[m]
				if since, recent := nativeSince[name]; recent {
					taken += fmt.Sprintf("; before Linux %s it takes no native program", since)
				}
				fmt.Fprintf(&table, "| %s | %s | %s |\n", name, taken, d.source)
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	_, after, found2 := bytes.Cut(rest, []byte(end))
	if !found || !found2 {
		t.Fatalf("%s has no place for the table", page)
	}
	want := fmt.Sprintf("%s%s%s%s%s", before, begin, table.String(), end, after)
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s does not have the table's rows: go test ./loader -run Drivers -update", page)
	}
}

// TestAnnouncesNative: a veth says that it takes native programs, and loopback does not,
// where the kernel can be asked.
func TestAnnouncesNative(t *testing.T) {
	lab := newLab(t)
	for name, want := range map[string]bool{"v0": true, "lo": false} {
		s, err := approach(name, lab.name)
		must(t, err)
		defer s.release()
		asked := s.ns.do(func() error { _, err := DeviceFeatures(s.link.index); return err })
		if announces, known := s.announcesNative(s.link.index); known != (asked == nil) || announces != (want && known) {
			t.Errorf("%s: %v, known %v, when asked %v", name, announces, known, asked)
		}
	}
	for want, harm := range map[string]*HarmError{
		"native XDP not tried: driver r8169 announces none":              {Driver: "r8169", None: true},
		"native XDP not tried: driver vmxnet3 has none before Linux 6.6": {Driver: "vmxnet3", None: true, Since: "6.6"},
	} {
		if got := harm.Error(); got != want {
			t.Error(got)
		}
	}
}

// TestNativeSince: of each driver of which it is said when it learnt to take native programs, it is
// known how it does, and before that, where it can't be asked, it is not said to do harm.
func TestNativeSince(t *testing.T) {
	lab := newLab(t)
	s, err := approach("v0", lab.name)
	must(t, err)
	defer s.release()
	for name, since := range nativeSince {
		if m := drivers[name].manner; m != stops && m != resets && m != asSlaves {
			t.Errorf("%s is not known to do harm, and asked", name)
		}
		got := s.lacksNative(noDevice, name) // which can't be asked
		if older := !sinceLinux(since.major, since.minor); older != (got != nil) || older && got.Since != since.String() {
			t.Errorf("%s: %v, and this Linux is older: %v", name, got, older)
		}
	}
}

// noDevice is an index that no interface has.
const noDevice = 1 << 30

// TestHarm: an interface of a driver that is known takes a native program, and one of
// another is asked for none.
func TestHarm(t *testing.T) {
	lab := newLab(t)
	options := lab.options(Auto)
	if err := NativeHarm(options.Interface, options.Namespace); err != nil {
		t.Errorf("a veth: %v", err)
	}
	for driver, want := range map[string]string{
		"igb": "native XDP would take the link down at start and end, with driver igb",
		"ice": "native XDP would stop traffic at start and end, with driver ice",
		"new": "native XDP not tried: whether driver new leaves traffic alone is not known",
		"":    "native XDP not tried: whether the driver leaves traffic alone is not known",
	} {
		if got := harmOf(driver, drivers[driver].manner).Error(); got != want {
			t.Errorf("%q: %s", driver, got)
		}
	}
}
