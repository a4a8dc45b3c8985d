package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/loader"
)

// interfaceFacts are those of an interface in a network namespace, "" for the
// own one. Nothing is attached to it.
func interfaceFacts(given, namespace string) []fact {
	programs, err := loader.Programs(given, namespace)
	if err != nil {
		f := fact{name: "interface", verdict: no, required: true, found: err.Error()}
		if errors.Is(err, loader.ErrNoInterface) && (given == "any" || strings.Contains(given, ",")) {
			f.todo = "name each interface with an -i of its own, or take -i all"
		}
		return []fact{f}
	}
	var facts []fact
	harm, upper := loader.NativeHarm(given, namespace), loader.Upper(given, namespace)
	returns, rawIP := loader.Returns(given, namespace), loader.RawIP(given, namespace)
	err = loader.Within(namespace, func() (err error) {
		facts, err = linkFacts(given, programs, harm, upper, rawIP, namespace == "")
		return err
	})
	facts = append(facts, meanwhileFact(given, namespace))
	if returns != nil {
		facts = append(facts, fact{
			name: given + " shaping", verdict: no, found: returns.Error(),
			todo: "--place auto looks at tc instead of that",
		})
	}
	if blind := loader.Blind(given, namespace); blind != "" {
		facts = append(facts, fact{name: given + " received packets", verdict: no, found: "are not seen there: " + blind})
	}
	if n := loader.VirtualFunctions(given, namespace); n > 0 {
		facts = append(facts, fact{
			name: given + " virtual functions", verdict: no, found: fmt.Sprintf("%d, whose traffic is not seen there", n),
			todo: "watch each one's own interface, where it is: here, in a container, in a virtual machine",
		})
	}
	if err != nil {
		return []fact{{name: "interface " + given, verdict: unknown, required: true, found: err.Error()}}
	}
	return facts
}

// linkFacts are those of an interface in the thread's network namespace. /sys is
// that of the process.
func linkFacts(given string, programs []loader.Program, harm, upper error, rawIP, sysfs bool) ([]fact, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	link, err := handle.LinkByName(given)
	if err != nil {
		return nil, err
	}
	attrs := link.Attrs()
	features, err := loader.DeviceFeatures(attrs.Index)
	facts := []fact{
		stateFact(attrs),
		linkTypeFact(attrs, rawIP),
		{verdict: yes, name: "driver", found: driver(attrs.Name, sysfs)},
		mtuFact(attrs, features.XDP, err == nil),
		{verdict: yes, name: "receive queues", found: fmt.Sprint(receiveQueues(attrs, sysfs))},
		featureFact(features.XDP, err, harm),
		harmFact(harm),
		programFact(programs),
		upperFact(upper),
	}
	facts = append(facts, aroundFacts(handle, link, features, harm)...)
	if driver := &facts[2]; driver.found == "" {
		driver.verdict, driver.found = unknown, "it has none that can be asked for"
	}
	for i := range facts {
		facts[i].name = attrs.Name + " " + facts[i].name
	}
	return facts, nil
}

// linkName ends the name of the fact that an interface is up.
const linkName = "link"

func stateFact(attrs *netlink.LinkAttrs) fact {
	f := fact{name: linkName, verdict: yes, found: "up"}
	if attrs.RawFlags&unix.IFF_UP == 0 {
		f.verdict, f.found, f.todo = no, "down: it receives nothing", "ip link set "+attrs.Name+" up"
	}
	return f
}

// linkTypeFact is whether packets are what the program reads.
func linkTypeFact(attrs *netlink.LinkAttrs, rawIP bool) fact {
	f := fact{name: "link type", verdict: yes, required: true, found: attrs.EncapType}
	switch {
	case attrs.EncapType == "ether" || attrs.EncapType == "loopback":
	case rawIP:
		f.found += ": packets without an Ethernet header, which --place auto looks at in tc"
	default:
		f.verdict, f.todo = no, "xdplog reads Ethernet frames and IP packets"
	}
	return f
}

// driver is the name of an interface's driver: ethtool's word, which virtual
// interfaces have too, or that of sysfs, or "".
func driver(name string, sysfs bool) string {
	if socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		defer unix.Close(socket)
		if info, err := unix.IoctlGetEthtoolDrvinfo(socket, name); err == nil {
			return unix.ByteSliceToString(info.Driver[:])
		}
	}
	if !sysfs {
		return ""
	}
	target, err := os.Readlink(filepath.Join("/sys/class/net", name, "device/driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// pageMTU is about the largest MTU of which a packet, with its head- and
// tailroom, is one buffer of a 4096-byte page. Drivers differ by some bytes.
const pageMTU = 3498

func mtuFact(attrs *netlink.LinkAttrs, features uint64, known bool) fact {
	f := fact{name: "MTU", verdict: yes, found: fmt.Sprint(attrs.MTU)}
	if attrs.MTU > pageMTU && known && features&receiveFrags == 0 {
		f.verdict = no
		f.todo = "the driver may want it below about 3500 for native XDP, else --mode auto takes generic"
	}
	return f
}

// receiveQueues counts the queues in use, or says how many were made.
func receiveQueues(attrs *netlink.LinkAttrs, sysfs bool) int {
	if !sysfs {
		return attrs.NumRxQueues
	}
	queues, _ := filepath.Glob("/sys/class/net/" + globEscape(attrs.Name) + "/queues/rx-*")
	if len(queues) > 0 {
		return len(queues)
	}
	return attrs.NumRxQueues
}

// globEscape is a name that matches itself: interfaces may have "*" in theirs.
func globEscape(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// featureFact is whether the driver takes native programs: what it says itself, or what is
// known of it, with why it is not asked for one, if it isn't.
func featureFact(features uint64, err, harm error) fact {
	f := fact{name: "XDP features", verdict: yes}
	var driver *loader.HarmError
	switch {
	case errors.As(harm, &driver) && driver.Since != "":
		f.verdict, f.found = no, fmt.Sprintf("the driver takes no native XDP before Linux %s; --mode auto takes generic", driver.Since)
	case errors.Is(err, loader.ErrNoNetdev):
		f.verdict, f.found = unknown, "this kernel does not tell (Linux 6.3 does); --mode auto tries"
	case err != nil:
		f.verdict, f.found = unknown, err.Error()
	case features&basicXDP == 0:
		f.verdict, f.found = no, "the driver announces no native XDP; --mode auto takes generic"
	default:
		f.found = "native: " + featureNames(features)
	}
	return f
}

// harmFact is whether traffic goes on when a native program comes or goes.
func harmFact(harm error) fact {
	f := fact{name: "start and end", verdict: yes, found: "leave traffic alone"}
	var driver *loader.HarmError
	if none := errors.As(harm, &driver) && driver.None; harm != nil && !none {
		f.verdict, f.found = no, harm.Error()
		f.todo = "--mode auto takes generic; --mode native takes it all the same"
	}
	return f
}

// meanwhileFact is what others meet while a program is in the XDP slot.
func meanwhileFact(given, namespace string) fact {
	f := fact{name: given + " meanwhile", verdict: yes}
	mode, different, err := loader.Meanwhile(given, namespace)
	switch {
	case err != nil:
		f.verdict, f.found = unknown, lastOf(err)
	case len(different) == 0:
		f.found = fmt.Sprintf("nothing is different for others in %s mode", mode)
	default:
		f.verdict, f.found = no, fmt.Sprintf("in %s mode %s", mode, strings.Join(different, "; "))
		f.todo = "--place tc changes nothing"
	}
	return f
}

// programFact is whether the place for a program is free.
func programFact(programs []loader.Program) fact {
	f := fact{name: "XDP program", verdict: yes, found: "none there"}
	for _, p := range programs {
		if p.Mode == loader.Offload {
			continue // has a place of its own
		}
		f.found = fmt.Sprintf("program %d (%s), %s", p.ID, orUnknown(p.Name), p.Mode)
		todo := "--place auto stands beside it"
		if err := besideable(p.ID); err != nil {
			todo = fmt.Sprintf("--place auto looks at tc, for none can stand beside it: %v", err)
		}
		switch {
		case p.Owner != nil:
			f.verdict, f.found, f.todo = no, f.found+", "+p.Owner.Error(), todo
		case p.Ours:
			f.found += ", left by a killed xdplog: the next start takes it over"
		default:
			f.verdict, f.todo = no, todo
		}
	}
	return f
}

// upperFact is whether a program on an interface above keeps others off this one.
func upperFact(upper error) fact {
	f := fact{name: "interfaces above", verdict: yes, found: "have no XDP program"}
	if upper != nil {
		f.verdict, f.found = no, upper.Error()
		f.todo = "--place auto looks at tc instead"
	}
	return f
}

func orUnknown(name string) string {
	if name == "" {
		return "its name can't be read"
	}
	return name
}
