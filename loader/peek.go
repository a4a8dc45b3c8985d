package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// peekName returns the name of the XDP program with an id that is on an interface
// of the calling thread's network namespace.
//
// To open a program by its id, as its name is otherwise read, takes CAP_SYS_ADMIN.
// A tracing program may read the kernel's memory, and to load and run one takes
// CAP_BPF and CAP_PERFMON, which every run has. So it goes from this thread's task
// to the interface, and to its program, on the way that the kernel's BTF describes.
// Nothing holds still meanwhile: a read that faults is an error, and the id, which is
// read with the name, tells whether this is the program.
//
// An error says that the program is not there, or that this kernel doesn't let
// anybody look: it has no BTF, /sys is not mounted, or it is locked down.
func peekName(index int, program uint32) (string, error) {
	m, err := openMemory()
	if err != nil {
		return "", fmt.Errorf("read the kernel's memory: %w", err)
	}
	defer m.close()

	task := m.word(0) // of this thread, which is in the namespace
	namespaces := m.pointer(task, "task_struct", "nsproxy")
	network := m.pointer(namespaces, "nsproxy", "net_ns")
	devices := m.at(network, "net", "dev_base_head")
	for node := m.word(devices); node != devices && m.err == nil; node = m.word(node) {
		device := node - m.offset("net_device", "dev_list")
		if int(m.number(device, "net_device", "ifindex")) != index {
			continue
		}
		// struct bpf_xdp_entity is a program and a link, for each mode.
		entities := m.at(device, "net_device", "xdp_state")
		for mode := range uint64(3) {
			entity := entities + mode*16
			prog := m.word(entity)
			if link := m.word(entity + 8); prog == 0 && link != 0 {
				prog = m.pointer(link, "bpf_link", "prog")
			}
			if prog == 0 {
				continue
			}
			aux := m.pointer(prog, "bpf_prog", "aux")
			if m.number(aux, "bpf_prog_aux", "id") == program {
				return m.text(aux, "bpf_prog_aux", "name"), m.err
			}
		}
	}
	if m.err != nil {
		return "", fmt.Errorf("read the kernel's memory: %w", m.err)
	}
	return "", errors.New("the program is not there any more")
}

// memory is that of the kernel. Its first error stays, and all later reads are 0.
type memory struct {
	types *btf.Spec
	prog  *ebpf.Program
	out   *ebpf.Map // one value: what was read
	err   error
}

const peekSize = 16 // of a read: a program's name, with its zero (BPF_OBJ_NAME_LEN)

func openMemory() (_ *memory, err error) {
	m := new(memory)
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.out, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: peekSize, MaxEntries: 1}); err != nil {
		return nil, err
	}
	m.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.RawTracepoint, License: "GPL", // which bpf_probe_read_kernel asks for
		Instructions: peekProgram(m.out.FD()),
	})
	if err != nil {
		return nil, err
	}
	if m.types, err = kernelTypes(); err != nil {
		return nil, err
	}
	if size := m.offset("list_head", "prev"); m.err == nil && size != 8 {
		m.err = fmt.Errorf("its pointers have %d bytes, not 8", size)
	}
	return m, m.err
}

// peekProgram reads from the address that is its first argument, or where that is 0
// the address of the task that runs it. It returns 0, or why it could not.
func peekProgram(out int) bpf.Instructions {
	const (
		address = bpf.R6
		value   = bpf.R7
	)
	return bpf.Instructions{
		bpf.LoadMem(address, bpf.R1, 0, bpf.DWord),
		bpf.StoreImm(bpf.RFP, -4, 0, bpf.Word),
		bpf.LoadMapPtr(bpf.R1, out),
		bpf.Mov.Reg(bpf.R2, bpf.RFP),
		bpf.Add.Imm(bpf.R2, -4),
		bpf.FnMapLookupElem.Call(),
		bpf.JEq.Imm(bpf.R0, 0, "end"), // for the verifier
		bpf.Mov.Reg(value, bpf.R0),
		bpf.JNE.Imm(address, 0, "read"),

		bpf.FnGetCurrentTask.Call(),
		bpf.StoreMem(value, 0, bpf.R0, bpf.DWord),
		bpf.Mov.Imm(bpf.R0, 0),
		bpf.Ja.Label("end"),

		bpf.Mov.Reg(bpf.R1, value).WithSymbol("read"),
		bpf.Mov.Imm(bpf.R2, peekSize),
		bpf.Mov.Reg(bpf.R3, address),
		bpf.FnProbeReadKernel.Call(),

		bpf.Return().WithSymbol("end"),
	}
}

func (m *memory) close() {
	if m.prog != nil {
		m.prog.Close()
	}
	if m.out != nil {
		m.out.Close()
	}
}

// read returns what is at an address: the current task's own at 0.
func (m *memory) read(address uint64) []byte {
	zero := make([]byte, peekSize)
	if m.err != nil {
		return zero
	}
	arguments := binary.NativeEndian.AppendUint64(nil, address)
	result, err := m.prog.Run(&ebpf.RunOptions{Context: arguments})
	if err == nil && result != 0 {
		err = fmt.Errorf("%#x: %w", address, unix.Errno(^result+1)) // two's complement
	}
	value := make([]byte, peekSize)
	if err == nil {
		err = m.out.Lookup(uint32(0), value)
	}
	if err != nil {
		m.err = err
		return zero
	}
	return value
}

func (m *memory) word(address uint64) uint64 { return binary.NativeEndian.Uint64(m.read(address)) }

// at is the address of a field of the struct at an address.
func (m *memory) at(address uint64, of, field string) uint64 {
	return address + m.offset(of, field)
}

func (m *memory) pointer(address uint64, of, field string) uint64 {
	return m.word(m.at(address, of, field))
}

func (m *memory) number(address uint64, of, field string) uint32 {
	return binary.NativeEndian.Uint32(m.read(m.at(address, of, field)))
}

func (m *memory) text(address uint64, of, field string) string {
	text, _, _ := bytes.Cut(m.read(m.at(address, of, field)), []byte{0})
	return string(text)
}

// offset is that of a field in bytes.
func (m *memory) offset(of, field string) uint64 {
	if m.err != nil {
		return 0
	}
	var layout *btf.Struct
	if m.err = m.types.TypeByName(of, &layout); m.err != nil {
		return 0
	}
	bytes, found := offsetOf(layout, field)
	if !found {
		m.err = fmt.Errorf("this kernel's struct %s has no %s", of, field)
	}
	return uint64(bytes)
}
