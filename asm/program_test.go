package asm

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
)

func TestProgramIsPure(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for _, cfg := range []Config{{}, {All: true}, {NoFrags: true}, {All: true, NoFrags: true}} {
		before := open()
		first, err := Program(cfg)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Program(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if after := open(); after != before {
			t.Errorf("%+v: %d descriptors are open, want %d as before", cfg, after, before)
		}
		if text(t, first) != text(t, second) || !reflect.DeepEqual(first.Maps, second.Maps) {
			t.Errorf("%+v: two calls differ", cfg)
		}

		// What the caller does to one must not show in the other.
		want := text(t, second)
		first.Maps[wire.CountersMap].MaxEntries = 7
		first.Programs[ProgramName].Flags = 0
		for i := range first.Programs[ProgramName].Instructions {
			first.Programs[ProgramName].Instructions[i] = bpf.Return()
		}
		if text(t, second) != want || second.Maps[wire.CountersMap].MaxEntries != 1 {
			t.Errorf("%+v: two specs share what they are made of", cfg)
		}
		third, err := Program(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if text(t, third) != want {
			t.Errorf("%+v: a later spec shows what was done to an earlier one", cfg)
		}
	}
}

func text(t *testing.T, spec *ebpf.CollectionSpec) string {
	t.Helper()
	var listing bytes.Buffer
	if err := Listing(&listing, spec.Programs[ProgramName].Instructions); err != nil {
		t.Fatal(err)
	}
	return listing.String()
}

func TestProgramSpec(t *testing.T) {
	for _, test := range []struct {
		cfg   Config
		flags uint32
	}{
		{Config{}, flagHasFrags},
		{Config{NoFrags: true}, 0},
	} {
		spec, err := Program(test.cfg)
		if err != nil {
			t.Fatal(err)
		}
		program := spec.Programs[ProgramName]
		if len(spec.Programs) != 1 || program.Name != ProgramName || program.Type != ebpf.XDP || program.Flags != test.flags {
			t.Errorf("%+v: program %q of type %v with flags %#x, want %q, %v, %#x",
				test.cfg, program.Name, program.Type, program.Flags, ProgramName, ebpf.XDP, test.flags)
		}
		var function *btf.Func
		if function = btf.FuncMetadata(&program.Instructions[0]); function == nil || function.Name != ProgramName {
			t.Errorf("%+v: the first instruction's function is %v, want %q", test.cfg, function, ProgramName)
		}
		for name := range program.Instructions.ReferenceOffsets() {
			_, isMap := spec.Maps[name]
			offsets, err := program.Instructions.SymbolOffsets()
			if err != nil {
				t.Fatal(err)
			}
			if _, isLabel := offsets[name]; !isMap && !isLabel {
				t.Errorf("%+v: %q is neither a map nor a label", test.cfg, name)
			}
		}
	}
}

// TestLoadedProgram: what other tools see of the program in the kernel.
func TestLoadedProgram(t *testing.T) {
	m := newMachine(t, Config{NoFrags: !takesFrags()})
	info, err := m.program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != ProgramName || info.Type != ebpf.XDP {
		t.Errorf("the kernel calls it %q of type %v, want %q, %v", info.Name, info.Type, ProgramName, ebpf.XDP)
	}
	functions, err := info.FuncInfos()
	if err != nil {
		t.Fatal(err)
	}
	if len(functions) != 1 || functions[0].Func.Name != ProgramName || functions[0].Offset != 0 {
		t.Fatalf("BTF functions %v, want %q alone", functions, ProgramName)
	}
	proto, ok := functions[0].Func.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) != 1 || proto.Params[0].Name != "ctx" {
		t.Fatalf("the function's type is %v, want one parameter, ctx", functions[0].Func.Type)
	}
	if pointer, ok := proto.Params[0].Type.(*btf.Pointer); !ok || pointer.Target.TypeName() != "xdp_md" {
		t.Errorf("ctx is %v, want a pointer to xdp_md", proto.Params[0].Type)
	}
	lines, err := info.LineInfos()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) == 0 {
		t.Error("no line info, want the notes beside the instructions")
	}
}

// TestProgramRefuses is what makes no sense.
func TestProgramRefuses(t *testing.T) {
	for _, cfg := range []Config{
		{Clock: HardwareClock + 1},
		{Sample: Sampling{N: MaxSample + 1}},
		{SnapLen: -1},
		{SnapLen: MaxSnapLen + 1},
		{Buffer: 1},
		{Buffer: MaxBuffer + 1},
		{Wake: WakePoller + 1},
		{Wake: WakePoller, Transport: Mmap, CPUs: 2},
		{Interfaces: -1},
		{Interfaces: MaxInterfaces + 1},
		{SnapLen: 96, Transport: Ringbuf, CPUs: 2},
		{Transport: Mmap + 1, CPUs: 2},
		{Transport: Mmap},
		{Transport: Mmap, CPUs: 2, Buffer: MaxBuffer},
		{Transport: Mmap, CPUs: 2, Buffer: 1},
		{Transport: Ringbuf, CPUs: 2, Buffer: MaxBuffer},
		{Filter: &filter.Filter{}},
		{Filter: &defaultFilter, All: true},
	} {
		if _, err := Program(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if (Config{Filter: &filter.Filter{}}).Match(make([]byte, 64), 64) {
		t.Error("an empty filter matches")
	}
	if _, err := Program(Config{Transport: Ringbuf, CPUs: 1024}); err != nil {
		t.Errorf("the default buffer of many CPUs: %v", err)
	}
}
