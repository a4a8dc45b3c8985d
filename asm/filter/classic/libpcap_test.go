package classic_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// TestLibpcap compares with the programs that libpcap makes, on frames without tags and
// extension headers.
func TestLibpcap(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("XDPLOG_E2E") == "required" {
			t.Fatalf("tcpdump is not installed: %v", err)
		}
		t.Skipf("tcpdump is not installed: %v", err)
	}
	ethernet := filepath.Join(t.TempDir(), "empty.pcap")
	file, err := os.Create(ethernet)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := pcapgo.NewWriter(file).WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	var frames []filtertest.Frame
	for _, frame := range filtertest.Frames(8) {
		if frame.Plain {
			frames = append(frames, frame)
		}
	}
	expressions := []string{
		"", "port 53", "host 192.0.2.1", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "not ether broadcast", "less 60",
		"ip6 net 2001:db8::/33", "portrange 50-90 and not icmp", "arp host 192.0.2.1 or rarp", "ip[2:2] > 100 and udp",
	}
	generator := filtertest.NewExpressions(17)
	for range 300 {
		expressions = append(expressions, generator.Next(6))
	}
	compared, refused := 0, 0
	for _, expression := range expressions {
		f, err := filter.Options{Libpcap: true}.Parse(expression)
		if err != nil || loadsUnasked(f.Root) {
			continue
		}
		theirs, err := libpcap(tcpdump, ethernet, expression)
		if err != nil {
			refused++
			continue
		}
		ours, err := bpf.NewVM(compile(t, f, classic.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, frame := range frames {
			compared++
			if got, want := accepts(t, ours, frame.Data), accepts(t, theirs, frame.Data); got != want {
				t.Fatalf("%s\n%v, libpcap's program says %v, on %s (%d bytes) %x", expression, got, want, frame.Name, len(frame.Data), frame.Data)
			}
		}
	}
	t.Logf("%d verdicts; %d expressions that tcpdump refuses", compared, refused)
	if refused > len(expressions)/20 || compared < 100_000 {
		t.Errorf("only %d verdicts, for tcpdump refuses %d of %d expressions", compared, refused, len(expressions))
	}
}

// loadsUnasked says whether something is loaded from a layer of both versions that the
// packet may lack: libpcap takes the byte from elsewhere in IPv6 then.
func loadsUnasked(n filter.Node) bool {
	switch n := n.(type) {
	case filter.And:
		return slices.ContainsFunc(n, loadsUnasked)
	case filter.Or:
		return slices.ContainsFunc(n, loadsUnasked)
	case filter.Not:
		return loadsUnasked(n.Term)
	case filter.Relation:
		asked := n.Layers()
		var unasked func(a filter.Arith) bool
		unasked = func(a filter.Arith) bool {
			switch a := a.(type) {
			case filter.Load:
				proto, ok := a.Layer.Transport()
				return ok && proto.Version == filter.AnyIP && !slices.Contains(asked, a.Layer) || unasked(a.Offset)
			case filter.Binary:
				return unasked(a.Left) || unasked(a.Right)
			}
			return false
		}
		return unasked(n.Left) || unasked(n.Right)
	}
	return false
}

// libpcap is its program, without the optimizer, which removes loads and with them
// verdicts on frames that are cut.
func libpcap(tcpdump, file, expression string) (*bpf.VM, error) {
	out, err := exec.Command(tcpdump, "-O", "-ddd", "-r", file, "--", expression).Output()
	if err != nil {
		return nil, err
	}
	var raw []bpf.RawInstruction
	for line := range strings.Lines(string(out)) {
		var ins bpf.RawInstruction
		if n, _ := fmt.Sscan(line, &ins.Op, &ins.Jt, &ins.Jf, &ins.K); n == 4 { // the first line is how many
			raw = append(raw, ins)
		}
	}
	program, whole := bpf.Disassemble(raw)
	if !whole {
		return nil, fmt.Errorf("%s: an instruction that is not known: %s", expression, out)
	}
	for i, ins := range program {
		if ins == bpf.Instruction(bpf.NegateA{}) { // which the VM has not
			program[i] = bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: math.MaxUint32}
		}
	}
	return bpf.NewVM(program)
}
