package loader

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// attached is a program on an interface.
type attached struct {
	id   uint32
	mode Mode
	name string        // in the kernel; "" if it can't be read
	prog *ebpf.Program // nil if it can't be opened
}

// inspect opens the program that is on an interface of the calling thread's network
// namespace in a mode, and reads its name. Without CAP_SYS_ADMIN it can only be
// read, and on some kernels not even that.
func inspect(index int, id uint32, mode Mode) attached {
	there := attached{id: id, mode: mode}
	prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if denied(err) {
		there.name, _ = peekName(index, id)
	}
	if err != nil {
		return there
	}
	info, err := prog.Info()
	if err != nil {
		prog.Close()
		return there
	}
	there.name, there.prog = info.Name, prog
	return there
}

// fd is what setXDP expects where this program is.
func (p *attached) fd() int {
	if p.prog == nil {
		return anyProgram
	}
	return p.prog.FD()
}

func (p *attached) close() {
	if p.prog != nil {
		p.prog.Close()
	}
}

func (p *attached) ours() bool { return p.name == asm.ProgramName }

// program is what is told of it.
func (p *attached) program() Program {
	return Program{ID: int(p.id), Mode: p.mode, Name: p.name, Ours: p.ours()}
}

// holder is the pid of another process that has a program open, or 0. It sees
// the processes that /proc shows it, and their descriptors where it may.
func holder(id uint32) int {
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, file := range files {
		process, fd, _ := strings.Cut(strings.TrimPrefix(file, "/proc/"), "/fd/")
		pid, err := strconv.Atoi(process)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if target, err := os.Readlink(file); err != nil || !strings.Contains(target, "bpf-prog") {
			continue
		}
		info, err := os.ReadFile(filepath.Join("/proc", process, "fdinfo", fd))
		if err == nil && describes(string(info), id) {
			return pid
		}
	}
	return 0
}

// describes reports whether the fdinfo of a descriptor is that of a program.
func describes(fdinfo string, id uint32) bool {
	for line := range strings.Lines(fdinfo) {
		if value, ok := strings.CutPrefix(line, "prog_id:"); ok {
			return strings.TrimSpace(value) == strconv.FormatUint(uint64(id), 10)
		}
	}
	return false
}
