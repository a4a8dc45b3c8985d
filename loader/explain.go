package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// explained is an error in our words; the kernel's own stays in reach of
// errors.Is and errors.As.
type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }

func explain(cause error, format string, args ...any) error {
	return &explained{fmt.Sprintf(format, args...), cause}
}

// notCompiled is ENOTSUPP, which is the kernel's own and in no header for others. Some kernels
// (of Debian 12, 6.1.176) interpret no program that their compiler refuses, only all or none.
const notCompiled = unix.Errno(524)

// explainLoad says in one line why the kernel did not take a program. memlock
// is why the limit on locked memory was not lifted, or nil.
func explainLoad(err, memlock error) error {
	missing := missing(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
	var verifier *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.ENOSYS) && filtered():
		return explain(err, "%v: a seccomp profile is in force that may forbid it: allow bpf(2) in it (else this kernel has none)", unix.ENOSYS)
	case errors.Is(err, unix.ENOSYS):
		return explain(err, "this kernel has no bpf(2): it needs CONFIG_BPF_SYSCALL")
	case denied(err) && len(missing) > 0:
		return explain(err, "%s", needs(missing))
	case errors.Is(err, unix.EPERM) && memlock != nil && filtered():
		return explain(err, "%v: a seccomp profile is in force that may forbid it: allow bpf(2) in it (or, on kernels before 5.11, raise the locked memory with ulimit -l unlimited)", unix.EPERM)
	case errors.Is(err, unix.EPERM) && confined():
		return explain(err, "%v: %s", unix.EPERM, forbidden())
	case errors.Is(err, unix.ENOMEM) && memlock != nil, errors.Is(err, unix.EPERM) && memlock != nil:
		return explain(err, "not enough locked memory (%v): raise it with ulimit -l unlimited, kernels before 5.11 need that", memlock)
	case errors.Is(err, unix.ENOMEM) && strconv.IntSize == 32:
		return explain(err, "%v: a kernel of 32 bits has little room for buffers and tables, on i386 128 MiB for all of its own (vmalloc=): make them smaller", unix.ENOMEM)
	case errors.Is(err, unix.EPERM):
		return explain(err, "%v: %s", unix.EPERM, forbidden())
	case errors.Is(err, notCompiled):
		return explain(err, "this kernel's BPF compiler (JIT) can't do this program, and it does not interpret it instead: take transport ringbuf or perf, which have no atomics, or switch the compiler off with sysctl net.core.bpf_jit_enable=0")
	case errors.Is(err, unix.EINVAL) && errors.Is(features.HaveMapType(ebpf.RingBuf), ebpf.ErrNotSupported):
		return explain(err, "this kernel has no ring buffers, which came with Linux 5.8: xdplog needs 5.10")
	case errors.Is(err, unix.EINVAL) && errors.Is(features.HaveProgramType(ebpf.XDP), ebpf.ErrNotSupported):
		return explain(err, "this kernel has no XDP: it needs CONFIG_NET and CONFIG_BPF_SYSCALL")
	case errors.Is(err, unix.E2BIG) && !errors.As(err, &verifier):
		return explain(err, "%v: this kernel has no maps as large as the buffer, or as a table to count in, which have less than 4 MiB a CPU: ask for less, or take transport ringbuf or perf", unix.E2BIG)
	case errors.As(err, &verifier) && unknownHelper(verifier) == bpf.FnKtimeGetCoarseNs:
		return explain(err, "this kernel has no coarse time stamps, which came with Linux 5.11: take precise ones")
	case errors.As(err, &verifier) && logSays(verifier, "invalid bpf_context access off=184"): // __sk_buff.hwtstamp
		return explain(err, "this kernel has no hardware time stamps at tc, which came with Linux 5.16: take precise ones")
	case errors.As(err, &verifier) && unknownAtomic(verifier):
		return explain(err, "this kernel has no atomics that fetch, which transport mmap takes on %s and which came with Linux 5.12: take ringbuf or perf", runtime.GOARCH)
	case errors.As(err, &verifier) && errors.Is(err, unix.E2BIG):
		return explain(err, "the filter is too large for the kernel's verifier: split or simplify it")
	case errors.As(err, &verifier):
		return explain(err, "%s", condense(verifier))
	default:
		return explainFile(err)
	}
}

// explainFile says which file system of the kernel's is missing, if one is.
func explainFile(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) && errors.Is(file, fs.ErrNotExist) {
		for _, root := range []string{"/proc", "/sys"} {
			if strings.HasPrefix(file.Path, root+"/") {
				return explain(err, "%s is not mounted: mount it (%v)", root, file)
			}
		}
	}
	return oneLine(err)
}

// explainAttach says in one line why netlink refused.
func explainAttach(err error) error {
	missing := missing(unix.CAP_NET_ADMIN)
	switch {
	case denied(err) && len(missing) > 0:
		return explain(err, "%s", needs(missing))
	case errors.Is(err, unix.EPERM):
		return explain(err, "%v: %s", err, forbidden())
	default:
		return oneLine(err)
	}
}

// denied reports a lack of rights. Without CAP_PERFMON the verifier refuses
// arithmetic on packet pointers as EACCES, and that it does for nothing else
// that our program does.
func denied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// condense is the kernel's word and the last line of the log that says
// something. Behind it, Linux 7.3 explains itself at length.
func condense(err *ebpf.VerifierError) string {
	log := err.Log
	explanation := func(line string) bool { return strings.HasPrefix(line, "Verification failed: ") }
	if i := slices.IndexFunc(log, explanation); i >= 0 {
		log = log[:i]
	}
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		switch {
		case line == "",
			strings.HasPrefix(line, "processed "),
			strings.HasPrefix(line, "verification time "),
			strings.HasPrefix(line, "stack depth "):
			continue
		}
		return fmt.Sprintf("%v: %s", err.Cause, line)
	}
	return err.Cause.Error()
}

// unknownHelper is the helper that the verifier does not know, or 0. It says
// "invalid func unknown#160", or "unknown func bpf_name#160" (before 6.7).
func unknownHelper(err *ebpf.VerifierError) bpf.BuiltinFunc {
	for _, line := range err.Log {
		_, number, found := strings.Cut(line, "#")
		if n, err := strconv.ParseUint(number, 10, 16); found && err == nil && strings.Contains(line, " func ") {
			return bpf.BuiltinFunc(n)
		}
	}
	return 0
}

// unknownAtomic reports whether the verifier knows no atomic but the plain add.
func unknownAtomic(err *ebpf.VerifierError) bool { return logSays(err, "BPF_STX uses reserved fields") }

// logSays reports whether the verifier does.
func logSays(err *ebpf.VerifierError, words string) bool {
	return slices.ContainsFunc(err.Log, func(line string) bool { return strings.Contains(line, words) })
}

// oneLine is err, with its line breaks made spaces.
func oneLine(err error) error {
	text := err.Error()
	if !strings.ContainsAny(text, "\r\n") {
		return err
	}
	return explain(err, "%s", strings.Join(strings.Fields(text), " "))
}

// quoted is a name as the user gave it, quoted where it would not be read as
// one word.
func quoted(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` || name == "" || strings.Contains(name, " ") {
		return q
	}
	return name
}

// have lists what there is, for an error that says that something isn't.
func have(names []string) string {
	const most = 20
	switch n := len(names); {
	case n == 0:
		return "have: none"
	case n > most:
		return fmt.Sprintf("have: %s and %d more", strings.Join(names[:most], ", "), n-most)
	default:
		return "have: " + strings.Join(names, ", ")
	}
}
