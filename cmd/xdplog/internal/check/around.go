package check

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/names"
	"github.com/xdplog/xdplog/loader"
)

// aroundFacts are about what stands between the wire and the program, or beside it: it
// keeps nothing from running, but packets from being seen, or seen as they were.
func aroundFacts(handle *netlink.Handle, link netlink.Link, features loader.Features, harm error) []fact {
	facts := []fact{stackFact(handle, link.Attrs()), tcFact(handle, link)}
	if link.Attrs().EncapType == "loopback" {
		return facts // which has no wire
	}
	return append(facts, promiscuousFact(link.Attrs()), tagFact(link.Attrs().Name, features, harm), hashFact(features, harm), mergeFact(link.Attrs().Name))
}

// promiscuousFact is whether frames to others' addresses get to XDP.
func promiscuousFact(attrs *netlink.LinkAttrs) fact {
	f := fact{name: "address filter", verdict: yes, found: "off: the interface is promiscuous"}
	if attrs.Promisc == 0 {
		f.found = "on: a card drops frames to other addresses before XDP sees them"
		f.todo = "ip link set " + attrs.Name + " promisc on, or run with --promiscuous, to see those too"
	}
	return f
}

// tagFact is whether VLAN tags are there to be seen.
func tagFact(name string, features loader.Features, harm error) fact {
	f := fact{name: "VLAN tags", verdict: yes, found: "stay in the packet"}
	switch keeps, err := loader.KeepsTags(name, ""); {
	case err != nil:
		f.verdict, f.found = unknown, lastOf(err)
	case keeps && features.TellsTags() && harm != nil:
		f.verdict, f.found = no, "are kept beside the packet, and told by the driver to native programs alone"
		f.todo = "--mode native, or --place tc, to see them"
	case keeps && features.TellsTags():
		f.found = "are kept beside the packet, and told by the driver"
	case keeps:
		f.verdict, f.found = no, "the outermost may be kept beside the packet, where XDP does not see it"
		f.todo = "--place tc sees it; on a card, ethtool -K " + name + " rxvlan off has it stay in the packet"
	}
	return f
}

// hashFact is whether --hash has hashes to say.
func hashFact(features loader.Features, harm error) fact {
	f := fact{name: "hashes", verdict: yes, found: "not told to XDP: --hash takes --place tc, which has those that the stack knows"}
	switch {
	case features.TellsHash() && harm != nil:
		f.found = "told by the driver to native programs alone: --hash takes --mode native, or --place tc"
	case features.TellsHash():
		f.found = "told by the driver"
	}
	return f
}

// mergeFact is which offloads a program is not to be had with.
func mergeFact(name string) fact {
	f := fact{name: "offloads", verdict: yes, found: "stay as they are"}
	switch on, err := loader.MergesInCard(name, ""); {
	case err != nil:
		f.verdict, f.found = unknown, lastOf(err)
	case len(on) > 0:
		f.verdict, f.found = no, strings.Join(on, ", ")+": off while xdplog runs, and put back at the end"
	}
	return f
}

// stackFact is which interfaces this one is made of, or part of.
func stackFact(handle *netlink.Handle, attrs *netlink.LinkAttrs) fact {
	f := fact{name: "stack", verdict: yes, found: "stands by itself"}
	links, err := handle.LinkList()
	if err != nil {
		f.verdict, f.found = unknown, lastOf(err)
		return f
	}
	var parts []string
	for _, link := range links {
		other := link.Attrs()
		name := names.OneWord(other.Name)
		pair := link.Type() == "veth" // whose other end is its parent
		switch {
		case other.Index == attrs.MasterIndex:
			parts = append(parts, "port of "+name+", which receives the same packets")
		case other.Index == attrs.ParentIndex && !pair:
			parts = append(parts, "above "+name+", whose native programs see its packets first")
		case other.MasterIndex == attrs.Index:
			parts = append(parts, "port "+name)
		case other.ParentIndex == attrs.Index && !pair:
			parts = append(parts, "beneath "+name)
		}
	}
	if len(parts) > 0 {
		f.found = strings.Join(parts, ", ")
	}
	return f
}

// tcFact is who else looks at packets at tc, or in a dispatcher.
func tcFact(handle *netlink.Handle, link netlink.Link) fact {
	f := fact{name: "other programs", verdict: yes, found: "none"}
	var there []string
	for _, p := range listInterface(handle, link, false).programs {
		if slot, _, _ := strings.Cut(p.at, " "); slot != "xdp" || p.at == "xdp dispatcher" { // the slot's is a fact of its own
			there = append(there, fmt.Sprintf("%s %d (%s)", p.at, p.id, orUnknown(p.name)))
		}
	}
	if len(there) > 0 {
		f.found = strings.Join(there, ", ") + ": what they drop or redirect was seen in XDP"
	}
	return f
}
