package check

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// besideable says why no program of ours can stand beside another one, as far as can be said
// without trying, or nil.
func besideable(id int) error {
	if err := features.HaveProgramType(ebpf.Tracing); err != nil {
		if errors.Is(err, unix.EPERM) {
			return errors.New("programs of type tracing are not permitted here")
		}
		return errors.New("this kernel has no programs of type tracing")
	}
	// Such programs are offered the same as kprobes, which can be asked for it. Where there is none the
	// library tries the helper's older name, and takes the kernel's answer to that, EINVAL, for none.
	err := features.HaveProgramHelper(ebpf.Kprobe, asm.FnProbeReadKernel)
	if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, unix.EINVAL) {
		return errors.New("this kernel lets no program read its memory: it is locked down (confidentiality)")
	}
	prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Errorf("to open it takes CAP_SYS_ADMIN: %w", err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return err
	}
	if _, typed := info.BTFID(); !typed {
		return errors.New("it was loaded without BTF")
	}
	return nil
}
