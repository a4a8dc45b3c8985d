// Package loader puts the XDP program into the kernel, attaches it to an
// interface over netlink, and takes it off again.
//
// It never replaces a program that is not xdplog's and takes off only what it
// put on. An attachment made over netlink outlives its process, so a start
// finds what a killed predecessor left and takes it over, and refuses beside
// a living one.
package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm"
)

// Load assembles the program of cfg and puts it and its maps into the kernel:
// frags-aware (Linux 5.18), and where the kernel refuses that, without.
// What the kernel takes is found by trying, never by its version. What asks drivers
// ([asm.Config.Metadata]) is loaded as it is, or refused.
// Where cfg says nothing of CPUs, it is made for those of this machine: see [CPUs].
//
// The caller closes the collection, behind its reader; an [Attachment] has a
// descriptor of its own. It needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. The
// errors are those of [asm.Program] and [LoadSpec].
func Load(cfg asm.Config) (*ebpf.Collection, error) {
	cpus, err := cpusOf(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.CPUs == 0 {
		cfg.CPUs = cpus
	}
	if err := checkShared(cfg, cpus); err != nil {
		return nil, err
	}
	coll, err := assemble(cfg)
	if err != nil && len(cfg.Metadata) > 0 {
		return nil, err
	}
	if !cfg.NoFrags && !cfg.FirstBuffer && tooLarge(err) {
		cfg.FirstBuffer = true
		coll, err = assemble(cfg)
	}
	if cfg.NoFrags || !refusesFrags(err) {
		return coll, err
	}
	cfg.NoFrags = true
	return assemble(cfg)
}

// checkShared returns what is against memory that programs write with plain stores,
// each on its CPU.
func checkShared(cfg asm.Config, possible int) error {
	what := "transport mmap"
	switch {
	case cfg.Count != nil:
		what = "counting"
	case cfg.Transport != asm.Mmap:
		return nil
	}
	switch {
	case cfg.CPUs < possible:
		return fmt.Errorf("%s needs memory for each of %d possible CPUs, not for %d: leave Config.CPUs 0", what, possible, cfg.CPUs)
	case !realtime(realtimeFile):
		return nil
	case cfg.Count != nil:
		return errors.New("counting by a key is not for a PREEMPT_RT kernel, on which two programs may run on a CPU at once")
	}
	return errors.New("transport mmap is not for a PREEMPT_RT kernel, on which two programs may run on a CPU at once: take ringbuf or perf")
}

func assemble(cfg asm.Config) (_ *ebpf.Collection, err error) {
	if cfg.Kernel == (asm.Kernel{}) && slices.Contains(cfg.Programs(), asm.Beside) {
		if cfg.Kernel, err = Kernel(); err != nil {
			return nil, err
		}
	}
	spec, err := asm.Program(cfg)
	if err != nil {
		return nil, fmt.Errorf("assemble the program: %w", err)
	}
	for name, program := range spec.Programs {
		if program.Type == ebpf.Tracing {
			delete(spec.Programs, name) // it is made for the one that it is to stand beside
		}
	}
	return LoadSpec(spec)
}

// tooLarge reports whether err is that of a program of which the verifier would have to
// look at too much, or whose jumps are too long.
func tooLarge(err error) bool {
	return errors.Is(err, unix.E2BIG) || errors.Is(err, asm.ErrTooLarge)
}

// refusesFrags reports whether err may be that of a kernel without multi-buffer
// XDP: it calls both the unknown flag and an unknown helper EINVAL.
func refusesFrags(err error) bool {
	return errors.Is(err, unix.EINVAL)
}

// LoadSpec is [Load] of a spec from [asm.Program], which the caller may have
// changed. The error is one line with the kernel's words; errors.As finds the
// whole *[ebpf.VerifierError] in it where the verifier refused the program, and
// a lack of rights is an [io/fs.ErrPermission].
func LoadSpec(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	if spec == nil {
		return nil, errors.New("load the program: there is no spec")
	}
	// Since Linux 5.11 the limit doesn't matter, so a failure to raise it
	// isn't one until the load fails.
	memlock := rlimit.RemoveMemlock()

	coll, err := ebpf.NewCollection(wholePages(spec, os.Getpagesize()))
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", explainLoad(err, memlock))
	}
	return coll, nil
}

// realtimeFile says 1 on a kernel with PREEMPT_RT, and is not there on others.
const realtimeFile = "/sys/kernel/realtime"

func realtime(file string) bool {
	text, err := os.ReadFile(file)
	return err == nil && strings.TrimSpace(string(text)) == "1"
}

// wholePages is a spec whose ring buffers have a page at least, less of which the kernel does
// not take: 64 KiB on some machines.
func wholePages(spec *ebpf.CollectionSpec, page int) *ebpf.CollectionSpec {
	for name, m := range spec.Maps {
		if m.Type == ebpf.RingBuf && m.MaxEntries < uint32(page) {
			spec = spec.Copy()
			spec.Maps[name].MaxEntries = uint32(page)
		}
	}
	return spec
}
