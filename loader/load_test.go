package loader

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

func TestVerifierError(t *testing.T) {
	privileged(t)
	_, err := LoadSpec(&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
		asm.ProgramName: {
			Name: asm.ProgramName, Type: ebpf.XDP, License: "MIT",
			Instructions: bpf.Instructions{bpf.Mov.Reg(bpf.R0, bpf.R3), bpf.Return()},
		},
	}})
	says(t, err, "load the program: ", "R3 !read_ok")
	if verifier := (*ebpf.VerifierError)(nil); !errors.As(err, &verifier) || len(verifier.Log) < 2 {
		t.Errorf("%v has no *ebpf.VerifierError with the whole log", err)
	}
}

// A kernel before 5.18 answers the frags flag like this one does an unknown flag.
func TestFragsRefusedByFlag(t *testing.T) {
	privileged(t)
	spec, err := asm.Program(asm.Config{})
	must(t, err)
	spec.Programs[asm.ProgramName].Flags |= 1 << 30
	_, err = LoadSpec(spec)
	if !refusesFrags(err) {
		t.Errorf("%v would not be tried again without frags", err)
	}
	says(t, err, "load the program: invalid argument")
}

func TestFragsRefusedByHelper(t *testing.T) {
	privileged(t)
	_, err := LoadSpec(&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{
		asm.ProgramName: {
			Name: asm.ProgramName, Type: ebpf.XDP, License: "MIT",
			Instructions: bpf.Instructions{bpf.BuiltinFunc(100000).Call(), bpf.Mov.Imm(bpf.R0, 2), bpf.Return()},
		},
	}})
	if !refusesFrags(err) {
		t.Errorf("%v would not be tried again without frags", err)
	}
	says(t, err, "load the program: invalid argument: invalid func unknown#100000")
}

func TestMissingCapabilities(t *testing.T) {
	lab := newLab(t)
	for _, test := range []struct {
		without []capability
		netns   string
		says    []string
	}{
		{[]capability{unix.CAP_SYS_ADMIN}, "", []string{"attached", "native"}},
		{[]capability{unix.CAP_SYS_ADMIN}, lab.name, []string{"CAP_SYS_ADMIN is missing", "enter network namespace " + lab.name}},
		{[]capability{unix.CAP_BPF}, "", []string{"attached"}}, // implied by CAP_SYS_ADMIN
		{[]capability{unix.CAP_SYS_ADMIN, unix.CAP_BPF}, "", []string{"CAP_BPF is missing", "grant cap_bpf,cap_net_admin,cap_perfmon+ep with setcap"}},
		{[]capability{unix.CAP_SYS_ADMIN, unix.CAP_PERFMON}, "", []string{"CAP_PERFMON is missing"}},
		{[]capability{unix.CAP_NET_ADMIN}, "", []string{"CAP_NET_ADMIN is missing"}},
		{
			[]capability{unix.CAP_SYS_ADMIN, unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_NET_ADMIN}, "",
			[]string{"CAP_BPF and CAP_NET_ADMIN and CAP_PERFMON are missing"},
		},
	} {
		t.Run(fmt.Sprint(test.without, test.netns), func(t *testing.T) {
			p := start(t, lab.namespace(t), test.without, "v0", "auto", test.netns)
			saysText(t, p.said, test.says...)
			p.in.Close()
			_ = p.Wait()
			lab.bare(t)
		})
	}
}

func TestLacking(t *testing.T) {
	const bpfOnly, admin, net = 1 << unix.CAP_BPF, 1 << unix.CAP_SYS_ADMIN, 1 << unix.CAP_NET_ADMIN
	for _, test := range []struct {
		effective uint64
		want      []capability
	}{
		{0, []capability{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}},
		{bpfOnly | net, []capability{unix.CAP_PERFMON}},
		{admin, []capability{unix.CAP_NET_ADMIN}},
		{admin | net, nil},
	} {
		got := lacking(test.effective, []capability{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON})
		if !slices.Equal(got, test.want) {
			t.Errorf("with %#x lacks %v, want %v", test.effective, got, test.want)
		}
	}
}

func TestExplainLoad(t *testing.T) {
	memlock := errors.New("failed to set memlock rlimit: operation not permitted")
	for _, test := range []struct {
		err, memlock error
		want         string
	}{
		{unix.ENOSYS, nil, "CONFIG_BPF_SYSCALL"},
		{fmt.Errorf("map create: %w", unix.ENOMEM), memlock, "not enough locked memory"},
		{fmt.Errorf("program xdplog: load program: %w", notCompiled), nil, "take transport ringbuf or perf, which have no atomics, or switch the compiler off with sysctl net.core.bpf_jit_enable=0"},
		{errors.New("two\n\tlines"), nil, "two lines"},
		{fmt.Errorf("map create: %w", unix.E2BIG), nil, "less than 4 MiB a CPU: ask for less"},
		{&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"0: (95) exit", "R0 !read_ok", "processed 1 insns"}}, nil, "invalid argument: R0 !read_ok"},
		{&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"7: (85) call unknown#160", "invalid func unknown#160"}}, nil, "Linux 5.11: take precise ones"},
		{&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"BPF_STX uses reserved fields", "processed 0 insns"}}, nil, "came with Linux 5.12: take ringbuf or perf"},
		{
			&ebpf.VerifierError{Cause: unix.E2BIG, Log: []string{"BPF program is too large. Processed 1000001 insn", "processed 1000001 insns"}}, nil,
			"the filter is too large for the kernel's verifier: split or simplify it",
		},
		{&ebpf.VerifierError{Cause: unix.EACCES, Log: []string{
			"R3 !read_ok", "", "Verification failed: Register Type Safety: Unreadable register", "", "Suggestion:", "  Initialize R3.", "", "processed 1 insns",
		}}, nil, "permission denied: R3 !read_ok"},
	} {
		says(t, explainLoad(test.err, test.memlock), test.want)
		if !errors.Is(explainLoad(test.err, test.memlock), test.err) {
			t.Errorf("%v is lost", test.err)
		}
	}
}

func TestExplainTracing(t *testing.T) {
	for _, log := range []string{"program of this type cannot use helper bpf_probe_read#4", "unknown func bpf_probe_read_kernel#113"} {
		says(t, explainTracing(&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"7: (85) call", log}}), "it is locked down (confidentiality")
	}
	says(t, explainTracing(&ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"R0 !read_ok"}}), "invalid argument: R0 !read_ok")
	says(t, explainTracing(unix.ENOSYS), "CONFIG_BPF_SYSCALL")
}

// TestLittleRoom: the memory is there, its addresses are not.
func TestLittleRoom(t *testing.T) {
	err := explainLoad(fmt.Errorf("map create: %w", unix.ENOMEM), nil)
	if strconv.IntSize == 32 {
		says(t, err, "a kernel of 32 bits has little room", "make them smaller")
	} else {
		says(t, err, "map create: cannot allocate memory")
	}
}

func TestParseMode(t *testing.T) {
	for _, mode := range []Mode{Auto, Native, Generic, Offload} {
		if got, err := ParseMode(mode.String()); got != mode || err != nil {
			t.Errorf("%s is parsed as %s, %v", mode, got, err)
		}
	}
	_, err := ParseMode("drv")
	says(t, err, `no mode "drv": want auto, native or generic`)
}

func TestDescribes(t *testing.T) {
	const fdinfo = "pos:\t0\nprog_type:\t6\nprog_id:\t33\nrun_time_ns:\t0\n"
	if !describes(fdinfo, 33) || describes(fdinfo, 3) || describes("pos:\t0\n", 0) {
		t.Error("program id is not found in fdinfo")
	}
}

func TestHave(t *testing.T) {
	if got := have(strings.Fields(strings.Repeat("x ", 25))); !strings.HasSuffix(got, "x and 5 more") {
		t.Error(got)
	}
	if got := have(nil); got != "have: none" {
		t.Error(got)
	}
}

func TestRealtime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "realtime")
	if realtime(file) {
		t.Error("realtime without the file")
	}
	for text, want := range map[string]bool{"1\n": true, "0\n": false, "": false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := realtime(file); got != want {
			t.Errorf("realtime is %v where the file says %q", got, text)
		}
	}
}

// TestCompiled: whether the kernel compiles the program or interprets it, in which it works
// as well.
func TestCompiled(t *testing.T) {
	privileged(t)
	for _, transport := range []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap} {
		coll, err := Load(asm.Config{Transport: transport, Buffer: asm.MinBuffer})
		if err != nil && strings.Contains(err.Error(), "Linux 5.12") {
			continue
		}
		if errors.Is(err, notCompiled) {
			t.Logf("this kernel lacks a compiler for the program of transport %v, and an interpreter beside the compiler", transport)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		info, err := coll.Programs[asm.ProgramName].Info()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := info.JitedSize(); err != nil {
			if on, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable"); err != nil {
				t.Log("this kernel lacks a BPF compiler")
			} else {
				t.Logf("this kernel lacks a compiler for the program of transport %v, or it is off: net.core.bpf_jit_enable is %s", transport, bytes.TrimSpace(on))
			}
		}
	}
}

// TestWholePages: a small ring buffer is a page, and the caller's spec as it was.
func TestWholePages(t *testing.T) {
	spec := &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{
		"small": {Type: ebpf.RingBuf, MaxEntries: 8 << 10},
		"large": {Type: ebpf.RingBuf, MaxEntries: 1 << 20},
		"array": {Type: ebpf.Array, MaxEntries: 1},
	}}
	got := wholePages(spec, 64<<10).Maps
	if got["small"].MaxEntries != 64<<10 || got["large"].MaxEntries != 1<<20 || got["array"].MaxEntries != 1 {
		t.Errorf("%v", got)
	}
	if spec.Maps["small"].MaxEntries != 8<<10 {
		t.Error("the spec was changed")
	}
}
