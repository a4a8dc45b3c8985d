package check

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/loader"
)

// listed is what a line of xdplog -D says of an interface.
type listed struct {
	name, driver string
	index        int
	up           bool
	places       []string // where xdplog could stand: "xdp native", "xdp generic", "beside" another program, "tc"
	programs     []listedProgram
	note         string // why not at a place, or what may not be asked; "": nothing
}

// A listedProgram is one of somebody's on the interface.
type listedProgram struct {
	at   string // "xdp native", "xdp dispatcher", "tc ingress", "tc egress"
	id   uint32
	name string // "" where it may not be read
}

// List writes a line for each interface of a network namespace: what is there, and
// where xdplog could stand. It attaches nothing, and works without rights, as far as
// the kernel tells then.
func List(o Options, to io.Writer) error {
	var all []listed
	err := loader.Within(o.Netns, func() error {
		handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer handle.Close()
		links, err := handle.LinkList()
		if err != nil {
			return err
		}
		for _, link := range links {
			all = append(all, listInterface(handle, link, o.Netns == ""))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	line := appendListed
	if o.JSON {
		line = appendListedJSON
	}
	for i := range all {
		if _, err := to.Write(line(nil, &all[i])); err != nil {
			if term.IsClosed(err) {
				return nil
			}
			return fmt.Errorf("list interfaces: %w", err)
		}
	}
	return nil
}

// listInterface asks about one in the thread's network namespace.
func listInterface(handle *netlink.Handle, link netlink.Link, sysfs bool) listed {
	attrs := link.Attrs()
	l := listed{name: attrs.Name, index: attrs.Index, driver: driver(attrs.Name, sysfs), up: attrs.RawFlags&unix.IFF_UP != 0}
	slot, err := loader.Programs(attrs.Name, "")
	free := err == nil
	for _, p := range slot {
		l.programs = append(l.programs, listedProgram{"xdp " + p.Mode.String(), uint32(p.ID), p.Name})
		if p.Name == "xdp_dispatcher" {
			l.programs = append(l.programs, components(ebpf.ProgramID(p.ID))...)
		}
		switch {
		case p.Mode == loader.Offload: // has a place of its own
		case p.Owner != nil:
			free, l.note = false, p.Owner.Error()
		case !p.Ours:
			free = false
		}
	}
	for _, at := range []struct {
		name   string
		parent uint32
		attach ebpf.AttachType
	}{
		{"tc ingress", netlink.HANDLE_MIN_INGRESS, ebpf.AttachTCXIngress},
		{"tc egress", netlink.HANDLE_MIN_EGRESS, ebpf.AttachTCXEgress},
	} {
		if filters, err := handle.FilterList(link, at.parent); err == nil {
			for _, f := range filters {
				if f, ok := f.(*netlink.BpfFilter); ok {
					l.programs = append(l.programs, listedProgram{at.name, uint32(f.Id), f.Name})
				}
			}
		}
		found, err := bpflink.QueryPrograms(bpflink.QueryOptions{Target: attrs.Index, Attach: at.attach})
		if err == nil {
			for _, p := range found.Programs {
				l.programs = append(l.programs, listedProgram{at.name, uint32(p.ID), programName(p.ID)})
			}
		}
	}

	if attrs.EncapType != "ether" && attrs.EncapType != "loopback" {
		l.note = "its packets are no Ethernet frames"
		if loader.RawIP(attrs.Name, "") {
			l.note, l.places = "its packets have no Ethernet header", append(l.places, "tc")
		}
		return l
	}
	upper := loader.Upper(attrs.Name, "")
	if upper != nil {
		l.note = upper.Error()
	}
	if free && upper == nil {
		features, err := loader.DeviceFeatures(attrs.Index)
		native := err != nil || features.XDP&basicXDP != 0
		if native && attrs.EncapType != "loopback" && loader.NativeHarm(attrs.Name, "") == nil {
			l.places = append(l.places, "xdp native")
		}
		l.places = append(l.places, "xdp generic")
	}
	for _, p := range slot {
		if free || p.Mode == loader.Offload {
			continue
		}
		if err := besideable(p.ID); err == nil {
			l.places = append(l.places, "beside")
		} else if l.note == "" {
			l.note = fmt.Sprintf("none stands beside program %d: %v", p.ID, err)
		}
	}
	l.places = append(l.places, "tc")
	return l
}

// components are the programs that libxdp's dispatcher calls: each stands in the
// place of one of its functions, by a link. To see links takes CAP_SYS_ADMIN.
func components(dispatcher ebpf.ProgramID) []listedProgram {
	var all []listedProgram
	links := new(bpflink.Iterator)
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil || info.Tracing() == nil || ebpf.ProgramID(info.Tracing().TargetObjectId) != dispatcher {
			continue
		}
		if prog, err := ebpf.NewProgramFromID(info.Program); err == nil {
			if prog.Type() == ebpf.Extension {
				all = append(all, listedProgram{"xdp dispatcher", uint32(info.Program), programName(info.Program)})
			}
			prog.Close()
		}
	}
	return all
}

// programName is that in the kernel, or "" where it may not be read.
func programName(id ebpf.ProgramID) string {
	prog, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return ""
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return ""
	}
	return info.Name
}

// appendListed writes an interface as text:
//
//	eth0 (virtio_net): xdp generic, tc; tc ingress has program 12 (cil_from_netdev)
func appendListed(b []byte, l *listed) []byte {
	b = append(b, names.OneWord(l.name)...)
	about := []string{orUnknownDriver(l.driver)}
	if !l.up {
		about = append(about, "down")
	}
	places := strings.Join(l.places, ", ")
	if places == "" {
		places = "nowhere"
	}
	b = fmt.Appendf(b, " (%s): %s", strings.Join(about, ", "), places)
	for _, p := range l.programs {
		b = fmt.Appendf(b, "; %s has program %d (%s)", p.at, p.id, orUnknown(p.name))
	}
	if l.note != "" {
		b = append(b, "; "...)
		b = append(b, l.note...)
	}
	return append(b, '\n')
}

func orUnknownDriver(name string) string {
	if name == "" {
		return "no driver known"
	}
	return name
}

// appendListedJSON writes an interface as an object on a line.
func appendListedJSON(b []byte, l *listed) []byte {
	b = append(b, `{"event_type":"interface","iface":`...)
	b = words.AppendQuoted(b, l.name)
	b = append(b, `,"index":`...)
	b = strconv.AppendInt(b, int64(l.index), 10)
	if l.driver != "" {
		b = append(b, `,"driver":`...)
		b = words.AppendQuoted(b, l.driver)
	}
	b = append(b, `,"up":`...)
	b = strconv.AppendBool(b, l.up)
	b = append(b, `,"places":[`...)
	for i, place := range l.places {
		if i > 0 {
			b = append(b, ',')
		}
		b = words.AppendQuoted(b, place)
	}
	b = append(b, `],"programs":[`...)
	for i, p := range l.programs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"at":`...)
		b = words.AppendQuoted(b, p.at)
		b = append(b, `,"id":`...)
		b = strconv.AppendUint(b, uint64(p.id), 10)
		if p.name != "" {
			b = append(b, `,"name":`...)
			b = words.AppendQuoted(b, p.name)
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	if l.note != "" {
		b = append(b, `,"note":`...)
		b = words.AppendQuoted(b, l.note)
	}
	return append(b, "}\n"...)
}
