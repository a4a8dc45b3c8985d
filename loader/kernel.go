package loader

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdplog/xdplog/asm"
)

// ErrNoBTF: the kernel doesn't say how its structures are laid out (BTF), which a
// program beside another one has to know.
var ErrNoBTF = errors.New("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")

// Kernel says where the running kernel has the fields that programs at [asm.Beside] read,
// by its BTF. The error wraps [ErrNoBTF] where it has none.
func Kernel() (k asm.Kernel, err error) {
	spec, err := kernelTypes()
	switch {
	case errors.Is(err, ebpf.ErrNotSupported): // there is no more to it
		return k, explain(errors.Join(ErrNoBTF, err), "%v", ErrNoBTF)
	case err != nil:
		return k, fmt.Errorf("read the kernel's BTF: %w: %w", ErrNoBTF, err)
	}
	for _, f := range []struct {
		in       string
		name     string
		to       *uint16
		optional bool
	}{
		{"xdp_buff", "data", &k.Data, false},
		{"xdp_buff", "data_end", &k.DataEnd, false},
		{"xdp_buff", "rxq", &k.RXQ, false},
		{"xdp_buff", "data_hard_start", &k.HardStart, false},
		{"xdp_buff", "frame_sz", &k.FrameSize, true},
		{"xdp_buff", "flags", &k.Flags, true},
		{"xdp_rxq_info", "dev", &k.Device, false},
		{"net_device", "ifindex", &k.Index, false},
		{"net_device", "nd_net", &k.Net, true},
		{"net", "ns.inum", &k.NetInode, true},
		{"skb_shared_info", "xdp_frags_size", &k.FragmentsSize, true},
	} {
		var of *btf.Struct
		if err := spec.TypeByName(f.in, &of); err != nil {
			return k, fmt.Errorf("look for struct %s in the kernel's BTF: %w", f.in, err)
		}
		offset, found := offsetOf(of, f.name)
		switch {
		case !found && !f.optional:
			return k, fmt.Errorf("the kernel's struct %s has no field %s", f.in, f.name)
		case f.in == "skb_shared_info":
			k.SharedInfo = aligned(of.Size)
		}
		*f.to = uint16(offset)
	}
	if k.NetInode == 0 {
		k.Net = 0
	}
	if k.FragmentsSize == 0 {
		k.Flags = 0 // before Linux 5.18, packets have one buffer
	}
	return k, nil
}

// kernelTypes reads the kernel's BTF: from /sys, and in a root that has none from the
// kernel itself, which takes CAP_SYS_ADMIN.
func kernelTypes() (*btf.Spec, error) {
	spec, err := btf.LoadKernelSpec()
	if err == nil {
		return spec, nil
	}
	handle, asked := btf.FindHandle(func(info *btf.HandleInfo) bool { return info.IsVmlinux() })
	if asked != nil {
		return nil, err
	}
	defer handle.Close()
	return handle.Spec(nil)
}

// aligned is a size in whole cache lines (SKB_DATA_ALIGN).
func aligned(size uint32) uint16 {
	line := uint32(64) // SMP_CACHE_BYTES
	switch runtime.GOARCH {
	case "ppc64le":
		line = 128
	case "s390x":
		line = 256
	}
	return uint16((size + line - 1) / line * line)
}

// offsetOf is how many bytes into a struct a field is, also one of a struct or a union
// without a name in it, or "field.inner" of one with a name.
func offsetOf(of *btf.Struct, path string) (bytes uint32, found bool) {
	name, rest, deeper := strings.Cut(path, ".")
	for _, m := range of.Members {
		if m.Name == name && !deeper {
			return m.Offset.Bytes(), true
		}
		inside := path
		switch m.Name {
		case name:
			inside = rest
		case "": // its fields are as if they were the struct's
		default:
			continue
		}
		var members []btf.Member
		switch inner := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			members = inner.Members
		case *btf.Union:
			members = inner.Members
		}
		if offset, found := offsetOf(&btf.Struct{Members: members}, inside); found {
			return m.Offset.Bytes() + offset, true
		}
	}
	return 0, false
}
