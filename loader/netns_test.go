package loader

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/xdplog/xdplog/asm"
)

func TestNamespaceByNamePathAndProcess(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{})
	inside := start(t, lab.namespace(t), nil, "v1", "auto", "")
	elsewhere := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(filepath.Join(namesDir, lab.name), elsewhere))

	for _, spec := range []string{
		lab.name,
		filepath.Join(namesDir, lab.name),
		elsewhere,
		filepath.Join("/proc", strconv.Itoa(inside.Process.Pid), "ns/net"),
		strconv.Itoa(inside.Process.Pid),
	} {
		before := namespaces(t)
		a, err := Attach(coll, Options{Interface: "v0", Namespace: spec})
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		lab.hold(t, a.id, Native)
		must(t, a.Close())
		lab.bare(t)
		if after := namespaces(t); after != before {
			t.Errorf("%s: the threads are in %s, were in %s", spec, after, before)
		}
	}
}

// namespaces are the network namespaces that the process' threads are in.
func namespaces(t *testing.T) string {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	must(t, err)
	var in []string
	for _, thread := range threads {
		if ns, err := os.Readlink(thread); err == nil && !slices.Contains(in, ns) {
			in = append(in, ns)
		}
	}
	return strings.Join(in, " ")
}

func TestNoSuchNamespace(t *testing.T) {
	privileged(t)
	name := newNamespace(t)
	plain := filepath.Join(t.TempDir(), "plain")
	must(t, os.WriteFile(plain, nil, 0o600))
	for spec, words := range map[string]string{
		"nosuch":             "no network namespace nosuch (have: ",
		"two words":          `no network namespace "two words" (have: `,
		"line\nbreak":        `no network namespace "line\nbreak" (have: `,
		"4194305":            "no network namespace 4194305 and no process 4194305 (have: ",
		"/run/netns/nosuch":  "no network namespace /run/netns/nosuch",
		"..":                 "/run is not a network namespace",
		plain:                plain + " is not a network namespace",
		"/proc/self/ns/mnt":  "/proc/self/ns/mnt is not a network namespace",
		"/proc/self/ns/net/": "network namespace /proc/self/ns/net/: ",
	} {
		_, err := openNamespace(spec)
		says(t, err, words)
	}
	_, err := openNamespace("nosuch")
	says(t, err, name)
}

func TestNamespaceDeleted(t *testing.T) {
	lab := newLab(t)
	a := lab.attach(t, Auto)
	// Others come and go beside it.
	other := newNamespace(t)
	must(t, netns.DeleteNamed(other))

	must(t, netns.DeleteNamed(lab.name))
	says(t, lost(t, a), "network namespace "+lab.name+" was deleted")
	must(t, a.Close())
	lab.bare(t)
}

func TestNoSuchInterface(t *testing.T) {
	lab := newLab(t)
	coll := load(t, asm.Config{})
	for name, words := range map[string]string{
		"eth9":                  "no interface eth9 (have: lo, ",
		"":                      `no interface "" (have: `,
		"sixteen-letters!":      "no interface sixteen-letters! (have: ",
		string(make([]byte, 9)): "no interface ",
		string(make([]byte, 1)): "no interface ",
		"v0\x00":                `no interface "v0\x00" (have: `,
		"a/b":                   "no interface a/b (have: ",
	} {
		_, err := Attach(coll, Options{Interface: name, Namespace: lab.name})
		says(t, err, words, "v0")
	}
	long := make([]byte, 300)
	for i := range long {
		long[i] = 'x'
	}
	_, err := Attach(coll, Options{Interface: string(long), Namespace: lab.name})
	says(t, err, "no interface xxx", "v0")
}

func TestDefaultInterface(t *testing.T) {
	lab := newLab(t)
	_, err := DefaultInterface(lab.name)
	says(t, err, "no default route (have: lo, ", "v0", "v1")

	v0, v1 := lab.link(t, "v0"), lab.link(t, "v1")
	route := func(via netlink.Link, address, gateway string, metric int) {
		t.Helper()
		parsed, err := netlink.ParseAddr(address)
		must(t, err)
		parsed.Flags = 0x02 // IFA_F_NODAD: usable at once
		must(t, lab.handle.AddrReplace(via, parsed))
		must(t, lab.handle.RouteAdd(&netlink.Route{LinkIndex: via.Attrs().Index, Gw: net.ParseIP(gateway), Priority: metric}))
	}
	for _, step := range []struct {
		via              netlink.Link
		address, gateway string
		metric           int
		want             string
	}{
		{v1, "2001:db8::1/64", "2001:db8::2", 100, "v1"},
		{v0, "192.0.2.1/24", "192.0.2.2", 200, "v0"}, // IPv4 first
		{v1, "198.51.100.1/24", "198.51.100.2", 100, "v1"},
	} {
		route(step.via, step.address, step.gateway, step.metric)
		got, err := DefaultInterface(lab.name)
		must(t, err)
		if got != step.want {
			t.Errorf("after the route by %s: %s, want %s", step.gateway, got, step.want)
		}
	}
}
