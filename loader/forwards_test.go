package loader

import (
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// TestParseNftables: chains that are hooked to one device, and to several, and rules that
// forward, and that don't.
func TestParseNftables(t *testing.T) {
	text := func(kind int, s string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(s)) }
	nested := func(kind int, inside ...*nl.RtAttr) *nl.RtAttr {
		of := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
		for _, a := range inside {
			of.AddChild(a)
		}
		return of
	}
	message := func(all ...*nl.RtAttr) (b []byte) {
		for _, a := range all {
			b = append(b, a.Serialize()...)
		}
		return b
	}
	const devices, deviceName = 4, 1
	one := parseChain(message(text(unix.NFTA_CHAIN_TABLE, "t"), text(unix.NFTA_CHAIN_NAME, "c"), nested(unix.NFTA_CHAIN_HOOK, text(unix.NFTA_HOOK_DEV, "eth0"))))
	if one.table != "t" || one.name != "c" || !slices.Equal(one.devices, []string{"eth0"}) {
		t.Errorf("chain is %+v", one)
	}
	more := parseChain(message(nested(unix.NFTA_CHAIN_HOOK, nested(devices, text(deviceName, "eth0"), text(deviceName, "eth1")))))
	if !slices.Equal(more.devices, []string{"eth0", "eth1"}) {
		t.Errorf("chain is %+v", more)
	}

	expression := func(name string, data ...*nl.RtAttr) *nl.RtAttr {
		return nested(unix.NFTA_LIST_ELEM, text(unix.NFTA_EXPR_NAME, name), nested(unix.NFTA_EXPR_DATA, data...))
	}
	index := expression("immediate", nested(unix.NFTA_IMMEDIATE_DATA, nl.NewRtAttr(unix.NFTA_DATA_VALUE, nl.Uint32Attr(7))))
	of := func(expressions ...*nl.RtAttr) rule {
		return parseRule(message(text(unix.NFTA_RULE_TABLE, "t"), text(unix.NFTA_RULE_CHAIN, "c"), nested(unix.NFTA_RULE_EXPRESSIONS, expressions...)))
	}
	if r := of(index, expression("fwd")); r.table != "t" || r.chain != "c" || !r.forwards || !slices.Equal(r.to, []int{7}) {
		t.Errorf("rule is %+v", r)
	}
	if r := of(index, expression("dup")); r.forwards {
		t.Errorf("rule is %+v", r)
	}
	if r := parseRule([]byte{1, 2, 3}); r.forwards {
		t.Errorf("rule is %+v", r)
	}
}
