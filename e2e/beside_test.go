package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// TestBesideAFirewall: where a firewall has the XDP slot, xdplog stands beside it and
// says what it decides of each packet. Nothing of the firewall's is touched.
func TestBesideAFirewall(t *testing.T) {
	needTracing(t)
	for _, mode := range []string{"native", "generic", "link"} {
		eachTransport(t, func(t *testing.T, transport asm.Transport) {
			needTransport(t, transport)
			lab := newLab(t)
			f := lab.firewall(t, "firewall", mode)
			capture := lab.xdplog(t, "--transport", transport.String())
			if said := capture.stderr.String(); !strings.Contains(said, "(beside its XDP program id ") || !strings.Contains(said, "(firewall)") {
				t.Errorf("it does not say beside what it stands:\n%s", said)
			}
			sent := []string{"pass", "drop", "drop", "aborted", "tx", "pass"}
			lab.to(t, sent...)
			lab.send(t, marker())
			events := capture.untilMarker(t)
			if got := verdictsOf(t, events); !slices.Equal(got, sent) {
				t.Errorf("verdicts %q, want %q", got, sent)
			}
			for i, e := range events {
				if e.Source != "198.51.100.7" || e.Port != firewallPorts[sent[i]] || e.Length != 53 || e.Interface != right(0) {
					t.Errorf("event %d is %v", i, e)
				}
			}
			end := capture.stop(t)
			if end.counters.Seen != 7 || end.counters.Captured != 7 {
				t.Errorf("counters are %+v, want 7 seen and captured", end.counters)
			}
			if got, want := f.decided(t), map[string]uint64{"pass": 3, "drop": 2, "aborted": 1, "tx": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the firewall counts %v, want %v", got, want)
			}
			f.stays(t)
			f.off(t)
		})
	}
}

// TestVerdict: who is being dropped by my firewall.
func TestVerdict(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	lab.loopback(t)
	f := lab.firewall(t, "firewall", "native")
	if l := start(t, lab.right, "-D", "-o", "json").list(t); !slices.Equal(l.Places, []string{"beside", "tc"}) {
		t.Errorf("-D says that xdplog could stand at %q", l.Places)
	}
	capture := lab.xdplog(t, "--verdict", "drop,aborted", "--metrics", "0", "udp")
	lab.to(t, "pass", "drop", "tx", "aborted", "drop")
	var got []string
	for range 3 {
		got = append(got, verdictsOf(t, []event{capture.next(t)})...)
	}
	if want := []string{"drop", "aborted", "drop"}; !slices.Equal(got, want) {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	page := lab.get(t, capture.metricsAt(t), "/metrics")
	for _, line := range []string{`xdplog_verdicts_total{interface="right0",verdict="drop"} 2`, `xdplog_verdicts_total{interface="right0",verdict="aborted"} 1`} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
	if end := capture.stop(t); end.counters.Seen != 5 || end.counters.Matched != 3 || len(end.lines) > 0 {
		t.Errorf("counters are %+v, want 5 seen and 3 matched; %d events more", end.counters, len(end.lines))
	}
	f.stays(t)
	f.off(t)

	complain(t, lab.right, 1, []string{right(0), "there is nothing to stand beside"}, "-i", right(0), "--verdict", "drop")
}

// TestWriteBeside: files hold the packets and what was decided of them.
func TestWriteBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	capture, name := lab.startWrite(t, "--all")
	var sent [][]byte
	for _, size := range []int{14, 60, 61, 62, 63, 64, 65, 100, 576, 1500, 1514} {
		sent = append(sent, ofSize(size))
		lab.send(t, ofSize(size))
	}
	lab.to(t, "drop")
	lab.udp(t, 0, false, firewallPorts["pass"], 1, 18) // received: all before it are, too
	capture.stop(t)
	file := readRecordingFile(t, name)
	if len(file.packets) != len(sent)+2 || file.cut {
		t.Fatalf("%d packets in the file, want %d; cut: %v", len(file.packets), len(sent)+2, file.cut)
	}
	for i, frame := range sent {
		if got := file.packets[i].data; string(got) != string(frame) {
			t.Errorf("packet %d is %x, want %x", i, got, frame)
		}
	}
	f.stays(t)
	f.off(t)

	again := start(t, lab.right, "-r", name, "-o", "json", "dst", "port", "53")
	if end := again.wait(t); len(end.lines) != 1 || !strings.Contains(end.lines[0], `"verdict":"drop"`) {
		t.Errorf("reading it: %q\n%s", end.lines, end.stderr)
	}
	counted := start(t, lab.right, "top", "-r", name, "--all", "--by", "verdict", "-o", "json").wait(t)
	if len(counted.lines) != 1 {
		t.Fatalf("counting it: %q\n%s", counted.lines, counted.stderr)
	}
	if rows := parseTop(t, counted.lines[0]).Rows; len(rows) != 2 || rows[1].Verdict != "drop" || rows[1].Packets != 1 || rows[0].Verdict != "pass" {
		t.Errorf("counted by verdict: %+v", rows)
	}
}

// TestSecondBeside: a second xdplog stands beside the first, and sees what that passes.
func TestSecondBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	first := lab.xdplog(t)
	second := lab.xdplog(t)
	lab.udp(t, 0, false, 53, 1, 18)
	first.want(t, udp4)
	if got := verdictsOf(t, []event{second.next(t)}); got[0] != "pass" {
		t.Errorf("verdict %q", got)
	}
	first.stop(t)
	if !second.stderr.await("right0 has no XDP program any more") {
		t.Fatalf("the second does not say that the first has gone:\n%s", second.stderr.String())
	}
	second.stop(t)
	lab.wantNoProgram(t)
	wantNoTracing(t)
}

// TestTwoBeside: two stand beside the same firewall, and the end of one is nothing to the other.
func TestTwoBeside(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	both := []*process{lab.xdplog(t), lab.xdplog(t, "--verdict", "drop")}
	for range 2 {
		lab.to(t, "drop")
		for i, capture := range both {
			if got := verdictsOf(t, []event{capture.next(t)}); got[0] != "drop" {
				t.Errorf("verdict for number %d is %q", i, got)
			}
		}
		both[0].stop(t)
		both = both[1:]
	}
	f.stays(t)
	f.off(t)
}

// TestBesideWithoutBTF: beside a program without BTF there is no place, and the first
// line says why.
func TestBesideWithoutBTF(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	remove := lab.foreign(t, "native")
	capture := lab.xdplog(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "loaded without BTF") {
		t.Errorf("it does not say why:\n%s", said)
	}
	lab.udp(t, 0, false, 53, 1, 18)
	if e := capture.next(t); e.Port != 53 {
		t.Errorf("event is %v", e)
	}
	capture.stop(t)
	complain(t, lab.right, 1, []string{"loaded without BTF"}, "-i", right(0), "--place", "beside")
	remove()
}

// TestBesideWithoutRights: with the three capabilities that a run needs nobody opens
// another's program: tc is the place, and the reason is said.
func TestBesideWithoutRights(t *testing.T) {
	needTracing(t)
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	cmd := command("-i", right(0), "-o", "json")
	admit(t, nil)
	cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	capture := launch(t, lab.right, cmd).read().listens(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, "CAP_SYS_ADMIN") {
		t.Errorf("it does not say what it lacks:\n%s", said)
	}
	lab.to(t, "pass")
	if e := capture.next(t); e.Port != firewallPorts["pass"] {
		t.Errorf("event is %v", e)
	}
	capture.stop(t)
	f.stays(t)
	f.off(t)
}

// needTracing skips a test where no program can stand beside another one, after it has
// seen that xdplog says so.
func needTracing(t *testing.T) {
	t.Helper()
	needPrivilege(t)
	defer setMemlock(t, unix.RLIM_INFINITY)()
	err := features.HaveProgramType(ebpf.Tracing)
	if err == nil {
		return
	}
	lab := newLab(t)
	f := lab.firewall(t, "firewall", "native")
	why, words := "no program can stand beside it", []string{right(0), "firewall"}
	if !hasBTF(t) {
		why, words = "the kernel has no BTF", nil
	}
	complain(t, lab.right, 1, append(words, why), "-i", right(0), "--place", "beside")
	capture := lab.xdplog(t)
	if said := capture.stderr.String(); !strings.Contains(said, "(tc ingress; ") || !strings.Contains(said, why) {
		t.Errorf("it does not say why it is at tc:\n%s", said)
	}
	if errors.Is(err, unix.EPERM) && !strings.Contains(capture.stderr.String(), "it takes a program of type tracing, which is not permitted here: the capabilities are there") {
		t.Errorf("it does not say what is not permitted:\n%s", capture.stderr.String())
	}
	capture.stop(t)
	if l := start(t, lab.right, "-D", "-o", "json").list(t); !slices.Equal(l.Places, []string{"tc"}) || !strings.Contains(l.Note, "none stands beside program") {
		t.Errorf("-D says that xdplog could stand at %q: %q", l.Places, l.Note)
	}
	f.off(t)
	t.Skip("this kernel lacks programs of type tracing for us")
}

// wantNoTracing fails the test if a program of ours that stood beside another is left.
func wantNoTracing(t testing.TB) {
	t.Helper()
	for id := ebpf.ProgramID(0); ; {
		var err error
		if id, err = ebpf.ProgramGetNextID(id); err != nil {
			return
		}
		program, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // gone
		}
		info, err := program.Info()
		if err == nil && program.Type() == ebpf.Tracing && strings.HasPrefix(info.Name, asm.ProgramName) {
			t.Errorf("program %d (%s) is left", id, info.Name)
		}
		program.Close()
	}
}

// to sends a packet to the port of each verdict.
func (l *lab) to(t testing.TB, verdicts ...string) {
	t.Helper()
	for _, v := range verdicts {
		l.send(t, frame(ethernet(eth4), ipv4(protoUDP), udp(1234, layers.UDPPort(firewallPorts[v])), gopacket.Payload("from a test")))
	}
}

// verdictsOf are those of some events, in their order.
func verdictsOf(t testing.TB, events []event) (all []string) {
	t.Helper()
	for _, e := range events {
		var fate struct{ Verdict string }
		if err := json.Unmarshal([]byte("{"+e.text+"}"), &fate); err != nil {
			t.Fatal(err)
		}
		all = append(all, fate.Verdict)
	}
	return all
}
