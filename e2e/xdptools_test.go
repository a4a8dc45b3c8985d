package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// toolsEnv is a folder with Debian's xdp-tools, in a folder for each release: the programs, the
// libraries that they need, and XDP programs. Package e2e/kernels/runner has guests have it.
const toolsEnv = "XDPLOG_XDP_TOOLS"

// xdpTools are those of a release.
type xdpTools struct {
	dir string
	on  *thread
}

// run runs one of the programs in the right namespace, and returns what it says.
func (x xdpTools) run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(x.dir, "ld-linux-x86-64.so.2"),
		slices.Concat([]string{"--library-path", x.dir, filepath.Join(x.dir, program)}, args)...)
	cmd.Env = append(os.Environ(), "LIBXDP_OBJECT_PATH="+x.dir)
	var said []byte
	err := x.on.do(func() (err error) { said, err = cmd.CombinedOutput(); return err })
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said)
	}
	return string(said)
}

// decided is what xdp-filter says that it has decided, by verdict.
func (x xdpTools) decided(t testing.TB) map[string]uint64 {
	t.Helper()
	said := x.run(t, "xdp-filter", "status")
	all := map[string]uint64{}
	for _, line := range regexp.MustCompile(`XDP_(ABORTED|DROP|PASS)\s+(\d+)`).FindAllStringSubmatch(said, -1) {
		n, err := strconv.ParseUint(line[2], 10, 64)
		if err != nil {
			t.Fatalf("%v in\n%s", err, said)
		}
		all[strings.ToLower(line[1])] = n
	}
	if len(all) != 3 {
		t.Fatalf("xdp-filter says of no counts:\n%s", said)
	}
	return all
}

// TestBesideXDPTools: xdplog stands beside Debian's xdp-filter, the only component of libxdp's
// dispatcher, follows when xdp-loader puts a second one there and takes it off again, and
// says what is decided. xdp-filter's own counts are as if nobody were there.
func TestBesideXDPTools(t *testing.T) {
	releases, _ := filepath.Glob(filepath.Join(os.Getenv(toolsEnv), "*"))
	if os.Getenv(toolsEnv) == "" || len(releases) == 0 {
		t.Skip("xdp-tools is not installed in a folder that " + toolsEnv + " names")
	}
	needTracing(t)
	for _, dir := range releases {
		for _, mode := range []string{"native", "skb"} {
			t.Run(filepath.Base(dir)+" "+mode, func(t *testing.T) { besideXDPTools(t, dir, mode) })
		}
	}
}

func besideXDPTools(t *testing.T, dir, mode string) {
	lab := newLab(t)
	lab.loopback(t)
	x := xdpTools{dir, lab.right}
	x.run(t, "xdp-filter", "load", right(0), "--mode", mode)
	loaded := true
	defer func() {
		if loaded {
			x.run(t, "xdp-loader", "unload", right(0), "--all")
		}
	}()
	x.run(t, "xdp-filter", "port", "--proto", "udp", fmt.Sprint(firewallPorts["drop"]))
	before := x.decided(t)

	capture := lab.xdplog(t)
	second := func() {
		x.run(t, "xdp-loader", "load", right(0), filepath.Join(dir, "xsk_def_xdp_prog.o"), "--mode", mode)
	}
	alone := true // xdplog can stand at a single component
	if strings.Contains(capture.stderr.String(), "(tc ingress; ") && !namesTargets(t) {
		lacks(t, "the target in what it says of links, as Linux 5.10 does")
		capture.stop(t)
		alone = false
		second()
		capture = lab.xdplog(t)
	}
	if said := capture.stderr.String(); !strings.Contains(said, "(beside its XDP program id ") || !strings.Contains(said, "(xdp_dispatcher)") {
		t.Errorf("it does not say beside what it stands:\n%s", said)
	}
	var events uint64
	see := func(who string) {
		t.Helper()
		for _, verdict := range []string{"drop", "pass", "drop", "drop", "pass"} {
			lab.to(t, verdict)
			e := capture.next(t)
			if got := verdictsOf(t, []event{e}); got[0] != verdict || e.Port != firewallPorts[verdict] {
				t.Errorf("%s: verdict is %q, want %q, of %v", who, got[0], verdict, e)
			}
			events++
		}
	}
	follows := func(what string, change func()) {
		t.Helper()
		before := strings.Count(capture.stderr.String(), "beside which xdplog goes on: ")
		was := lab.attached(t, right(0))
		change()
		now := lab.attached(t, right(0))
		if now == was {
			t.Errorf("%s: the dispatcher is still %v", what, now)
		}
		if !capture.stderr.await(fmt.Sprintf("beside which xdplog goes on: id %d (xdp_dispatcher)", now.id)) {
			t.Fatalf("%s: it does not say that it follows, said %d times before, to %v:\n%s", what, before, now, capture.stderr.String())
		}
	}
	if alone {
		see("one component")
		follows("a second component", second)
	}
	see("two components")
	status := x.run(t, "xdp-loader", "status", right(0))
	components := regexp.MustCompile(`\s(\d+)\s+\w+\s+XDP_PASS`).FindAllStringSubmatch(status, -1)
	listed := start(t, lab.right, "-D", "-o", "json").list(t)
	if alone && len(listed.Programs) < 3 || len(components) < 2 {
		t.Fatalf("-D says of programs %v, want the dispatcher and two components; xdp-loader says\n%s", listed.Programs, status)
	}
	if alone {
		follows("the second goes", func() {
			x.run(t, "xdp-loader", "unload", right(0), "--id", components[len(components)-1][1])
		})
		see("one component again")
	}
	after := x.decided(t)
	drops, passes := after["drop"]-before["drop"], after["pass"]-before["pass"]
	if drops*5 != events*3 || passes*5 != events*2 || after["aborted"] != before["aborted"] {
		t.Errorf("xdp-filter counts %d drops and %d passes of %d packets, of which it drops three of five", drops, passes, events)
	}

	x.run(t, "xdp-loader", "unload", right(0), "--all")
	loaded = false
	if !capture.stderr.await("right0 has no XDP program any more") {
		t.Errorf("it does not say that there is none:\n%s", capture.stderr.String())
	}
	if end := capture.stop(t); end.counters.Captured != events || end.counters.Lost != 0 || end.counters.Seen != events {
		t.Errorf("counters are %+v, want %d seen and captured", end.counters, events)
	}
	lab.wantNoProgram(t)
	wantNoTracing(t)
}
