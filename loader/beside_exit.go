package loader

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// An exit is a program of ours at the end of another's main function (fexit).
type exit struct {
	program *ebpf.Program
	link    bpflink.Link
}

func (b *besideStand) exitOf(target *ebpf.Program) (at exit, err error) {
	function, err := mainFunction(target)
	if err != nil {
		return at, err
	}
	if tailCalls(target) && traced(target) {
		return at, errors.New("it makes tail calls, and has a tracing program already: from Linux 7.0 two are not safe")
	}
	spec := b.spec.Copy()
	spec.AttachTarget, spec.AttachTo = target, function
	if at.program, err = b.load(spec); err != nil {
		return at, explainTracing(err)
	}
	at.link, err = bpflink.AttachTracing(bpflink.TracingOptions{Program: at.program, AttachType: ebpf.AttachTraceFExit})
	if err != nil {
		at.program.Close()
		if errors.Is(err, bpflink.ErrNotSupported) {
			return at, explain(err, "this kernel has no trampolines on %s, by which programs stand at others' ends: arm64 has them from Linux 6.0 on", runtime.GOARCH)
		}
		return at, oneLine(err)
	}
	return at, nil
}

// tailCalls reports whether a program may call others, through an array of programs.
func tailCalls(program *ebpf.Program) bool {
	info, err := program.Info()
	if err != nil {
		return true
	}
	ids, known := info.MapIDs()
	if !known {
		return true
	}
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return true
		}
		kind := m.Type()
		m.Close()
		if kind == ebpf.ProgramArray {
			return true
		}
	}
	return false
}

// traced reports whether a tracing program stands at another one, as far as the kernel says so
// of links.
func traced(program *ebpf.Program) bool {
	info, err := program.Info()
	if err != nil {
		return true
	}
	id, _ := info.ID()
	return len(linkedTo(uint32(id))) > 0
}

// extension opens the one program that stands in the place of a function of another
// (BPF_PROG_TYPE_EXT).
func extension(of uint32) (found *ebpf.Program, err error) {
	for _, id := range linkedTo(of) {
		program, err := ebpf.NewProgramFromID(id)
		switch {
		case err != nil: // gone
		case program.Type() != ebpf.Extension:
			program.Close()
		case found != nil:
			program.Close()
			found.Close()
			return nil, errors.New("more than one extends it")
		default:
			found = program
		}
	}
	if found == nil {
		return nil, errors.New("none extends it")
	}
	return found, nil
}

// linkedTo are the programs that stand at another one by a link: at its end or beginning, or in
// the place of a function. To see links takes CAP_SYS_ADMIN. Linux 5.10 does not say where they lead,
// and there are none.
func linkedTo(target uint32) (programs []ebpf.ProgramID) {
	links := new(bpflink.Iterator)
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err == nil && info.Tracing() != nil && info.Tracing().TargetObjectId == target {
			programs = append(programs, info.Program)
		}
	}
	return programs
}

// mainFunction is the name of a program's first function, which takes its BTF.
func mainFunction(program *ebpf.Program) (string, error) {
	info, err := program.Info()
	if err != nil {
		return "", err
	}
	functions, err := info.FuncInfos()
	if errors.Is(err, ebpf.ErrNotSupported) || err == nil && len(functions) == 0 {
		return "", errors.New("it was loaded without BTF, of which clang's -g makes some")
	}
	if err != nil {
		return "", fmt.Errorf("read its BTF: %w", err)
	}
	for _, f := range functions {
		if f.Offset == 0 {
			return f.Func.Name, nil
		}
	}
	return functions[0].Func.Name, nil
}

// explainTracing says why the kernel did not take a program that is to stand beside another, where
// it has taken all else of ours.
func explainTracing(err error) error {
	if errors.Is(err, unix.EPERM) && len(missing(unix.CAP_PERFMON)) == 0 {
		return explain(err, "it takes a program of type tracing, which is not permitted here: %s", forbidden())
	}
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) && errors.Is(err, unix.EINVAL) && logSays(verifier, " bpf_probe_read") {
		return explain(err, "this kernel lets no program read its memory, packets included: it is locked down (confidentiality, in /sys/kernel/security/lockdown)")
	}
	return explainLoad(err, nil)
}

// explainForeign says what it takes to open a program of somebody else's.
func explainForeign(err error) error {
	if lacks := missing(unix.CAP_SYS_ADMIN); len(lacks) > 0 {
		return fmt.Errorf("%w: to open another's program, %s", err, needs(lacks))
	}
	return fmt.Errorf("%w: %s", err, forbidden())
}
