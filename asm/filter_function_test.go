package asm

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// broken is what a caller returns of whose registers or stack a function has taken something.
const broken = 77

// calling is a program that calls filter functions one after the other, keeping what is
// its own in registers, on the stack and behind labels that they have too, and returns
// what the last one returns.
func calling(t *testing.T, place Place, typed bool, configs ...FilterConfig) *ebpf.CollectionSpec {
	t.Helper()
	const slot, mine = -8, 12345
	spec := places[place].of(Config{NoFrags: !takesFrags()}).spec()
	spec.Name, spec.License = "caller", "Dual MIT/GPL"
	insns := bpf.Instructions{bpf.Mov.Reg(bpf.R6, bpf.R1)}
	if typed {
		context := places[place].of(Config{}).context()
		insns[0] = btf.WithFuncMetadata(insns[0].WithSymbol("caller"), function("caller", context)).WithSource(bpf.Comment("caller"))
	}
	insns = append(insns,
		bpf.Mov.Imm(bpf.R7, mine),
		bpf.Mov.Imm(bpf.R8, mine),
		bpf.Mov.Imm(bpf.R9, mine),
		bpf.StoreMem(bpf.R10, slot, bpf.R7, bpf.DWord),
	)
	var functions bpf.Instructions
	all := make(map[string]*ebpf.MapSpec)
	for i, cfg := range configs {
		name := string(rune('a' + i))
		cfg.BTF = typed
		function, tables, err := FilterFunction(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		insns = append(insns, bpf.Mov.Reg(bpf.R1, bpf.R6), bpf.Call.Label(name))
		functions = append(functions, function...)
		maps.Copy(all, tables)
	}
	for _, kept := range []bpf.Register{bpf.R7, bpf.R8, bpf.R9} {
		insns = append(insns, bpf.JNE.Imm(kept, mine, "pass"))
	}
	insns = append(insns,
		bpf.LoadMem(bpf.R7, bpf.R10, slot, bpf.DWord),
		bpf.JNE.Imm(bpf.R7, mine, "pass"),
		bpf.Return(),
		bpf.Mov.Imm(bpf.R0, broken).WithSymbol("pass"),
		bpf.Return(),
	)
	spec.Instructions = append(insns, functions...)
	return &ebpf.CollectionSpec{Maps: all, Programs: map[string]*ebpf.ProgramSpec{FilterProgramName: spec}}
}

// TestFilterFunction is TestFilterProgram of functions.
func TestFilterFunction(t *testing.T) {
	const drop, next = 1, -1
	for name, cfg := range map[string]FilterConfig{
		"xdp":     {Match: drop, Otherwise: xdpPass},
		"xdp btf": {Match: drop, Otherwise: xdpPass, BTF: true},
		"tc":      {Match: drop, Otherwise: next, Place: TCIngress},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.NoFrags = !takesFrags()
			seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
			t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
			expressions, frames := filtertest.NewExpressions(seed), newFrameMaker(seed)
			expressions.VLAN = true
			var other *filter.Filter // the first of two functions
			for range 60 {
				f, err := filter.Parse(expressions.Next(8))
				if err != nil {
					continue
				}
				cfg.Filter = f
				if _, err := FilterProgram(cfg); err != nil {
					continue // it matches nothing
				}
				both := []FilterConfig{cfg}
				if other != nil {
					before := cfg
					before.Filter = other
					both = []FilterConfig{before, cfg}
				}
				other = f
				program := loadedFilter(t, calling(t, cfg.Place, cfg.BTF, both...))
				for range 200 {
					frame := frames.next()
					if cfg.Place != XDP && !runsTC(frame) {
						continue
					}
					want := uint32(cfg.Otherwise)
					if f.Match(frame, len(frame)) {
						want = uint32(cfg.Match)
					}
					if got, err := testVerdict(program, frame); err != nil || got != want {
						t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s: returns %d, %v, want %d, on %x", seed, f, got, err, want, frame)
					}
				}
				program.Close()
			}
		})
	}
}

// TestFilterSocket runs programs, and functions of programs, on a pair of local datagram
// sockets: what they match is received.
func TestFilterSocket(t *testing.T) {
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	expressions, frames := filtertest.NewExpressions(seed), newFrameMaker(seed)
	expressions.VLAN = true
	buffer := make([]byte, 1<<16)
	matched := 0
	for i := range 100 {
		f, err := filter.Parse(expressions.Next(8))
		if err != nil {
			continue
		}
		cfg := FilterConfig{Filter: f, Match: -1, Place: Socket}
		spec, err := FilterProgram(cfg)
		if err != nil {
			continue // it matches nothing
		}
		if i%2 == 1 {
			spec = calling(t, Socket, i%4 == 1, cfg)
		}
		program := loadedFilter(t, spec)
		if err := unix.SetsockoptInt(pair[1], unix.SOL_SOCKET, unix.SO_ATTACH_BPF, program.FD()); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		program.Close()
		for range 100 {
			frame := frames.next()
			if len(frame) == 0 {
				continue
			}
			if err := unix.Send(pair[0], frame, 0); err != nil {
				t.Fatal(err)
			}
			n, _, err := unix.Recvfrom(pair[1], buffer, unix.MSG_DONTWAIT)
			if got, want := err == nil, f.Match(frame, len(frame)); got != want || got && n != len(frame) {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d: %s: matches: %v, want %v, on %x", seed, f, got, want, frame)
			}
			if err == nil {
				matched++
			}
		}
	}
	t.Logf("%d matches", matched)
}

// TestFilterFunctionContract is what its documentation says of its instructions.
func TestFilterFunctionContract(t *testing.T) {
	hosts := "host 192.0.2.1"
	for i := range 40 {
		hosts += " or " + string(slices.Concat([]byte("host 198.51.100."), []byte{'0' + byte(i/10), '0' + byte(i%10)}[max(0, 1-i/10):]))
	}
	deepest := int16(0)
	for _, expression := range []string{
		"tcp", hosts, "ip6 host 2001:db8::1 or net 10.0.0.0/8", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
		"(ip[2:2]+ip[4:2]*ip[6:2])%(ip[8:2]|(ip[10:2]^(ip[12:2]-(ip[14:2]<<(ip[16:2]>>(ip[18:2]+len))))))!=udp[4:2]-(udp[6:2]&(udp[0:2]/udp[2:2]))",
		"ether host 02:00:00:00:00:01 and vlan 10 and mpls", "greater 100 and portrange 10-20",
	} {
		for place, cfg := range map[Place]FilterConfig{XDP: {Match: 1}, TCIngress: {Match: 1}, TCEgress: {Match: 1}, Socket: {Match: 1}} {
			cfg.Place, cfg.Filter = place, parseFilter(t, expression)
			insns, tables, err := FilterFunction("f", cfg)
			if err != nil {
				t.Fatal(err)
			}
			symbols, err := insns.SymbolOffsets()
			if err != nil || symbols["f"] != 0 || insns[0].Symbol() != "f" {
				t.Errorf("%s: %v, %v", expression, symbols, err)
			}
			for _, ins := range insns {
				if ins.IsLoadFromMap() && tables[ins.Reference()] == nil {
					t.Errorf("%s at %v: map %q is not there", expression, place, ins.Reference())
				}
				if _, own := symbols[ins.Reference()]; ins.OpCode.Class().IsJump() && ins.Reference() != "" && !own {
					t.Errorf("%s at %v: jumps to %q", expression, place, ins.Reference())
				}
				switch class := ins.OpCode.Class(); {
				case class.IsStore() && ins.Dst == bpf.R10:
					deepest = min(deepest, ins.Offset)
				case class == bpf.ALU64Class && ins.OpCode.ALUOp() == bpf.Add && ins.Constant < 0:
					deepest = min(deepest, int16(ins.Constant))
				}
			}
		}
	}
	if -deepest > FilterStack {
		t.Errorf("it takes %d bytes of the stack", -deepest)
	}
	t.Logf("%d bytes of the stack", -deepest)
}
