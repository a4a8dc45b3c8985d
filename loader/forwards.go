package loader

import (
	"encoding/binary"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// forwards are the indexes of the interfaces to which rules of nftables forward
// (`fwd to`) what an interface receives, in the thread's namespace. They are asked for
// only where there is something to find: to ask has the kernel load nftables.
func forwards(iface string) (targets []int) {
	chains, err := nftables(unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_NEWCHAIN)
	if err != nil {
		return nil
	}
	hooked := map[[2]string]bool{} // by table and chain
	for _, c := range chains {
		chain := parseChain(c)
		if slices.Contains(chain.devices, iface) {
			hooked[[2]string{chain.table, chain.name}] = true
		}
	}
	if len(hooked) == 0 {
		return nil
	}
	rules, err := nftables(unix.NFT_MSG_GETRULE, unix.NFT_MSG_NEWRULE)
	if err != nil {
		return nil
	}
	for _, r := range rules {
		if rule := parseRule(r); hooked[[2]string{rule.table, rule.chain}] && rule.forwards {
			targets = append(targets, rule.to...)
		}
	}
	return targets
}

// nftables asks for all of a kind that tables of devices have.
func nftables(get, answer int) ([][]byte, error) {
	const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8
	request := nl.NewNetlinkRequest(subsystem|get, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_NETDEV, Version: nl.NFNETLINK_V0})
	messages, err := request.Execute(unix.NETLINK_NETFILTER, uint16(subsystem|answer))
	for i, m := range messages {
		messages[i] = m[min(len(m), nl.SizeofNfgenmsg):]
	}
	return messages, err
}

// A chain of nftables may be hooked to devices.
type chain struct {
	table, name string
	devices     []string
}

func parseChain(message []byte) (c chain) {
	const devices, deviceName = 4, 1 // NFTA_HOOK_DEVS, NFTA_DEVICE_NAME
	add := func(name []byte) { c.devices = append(c.devices, nl.BytesToString(name)) }
	each(message, unix.NFTA_CHAIN_TABLE, func(name []byte) { c.table = nl.BytesToString(name) })
	each(message, unix.NFTA_CHAIN_NAME, func(name []byte) { c.name = nl.BytesToString(name) })
	each(message, unix.NFTA_CHAIN_HOOK, func(hook []byte) {
		each(hook, unix.NFTA_HOOK_DEV, add)
		each(hook, devices, func(list []byte) { each(list, deviceName, add) })
	})
	return c
}

// A rule forwards where it has such an expression; what it says of where to is a constant
// in another one.
type rule struct {
	table, chain string
	forwards     bool
	to           []int
}

func parseRule(message []byte) (r rule) {
	each(message, unix.NFTA_RULE_TABLE, func(name []byte) { r.table = nl.BytesToString(name) })
	each(message, unix.NFTA_RULE_CHAIN, func(name []byte) { r.chain = nl.BytesToString(name) })
	each(message, unix.NFTA_RULE_EXPRESSIONS, func(list []byte) { each(list, unix.NFTA_LIST_ELEM, r.parseExpression) })
	return r
}

func (r *rule) parseExpression(element []byte) {
	var kind string
	each(element, unix.NFTA_EXPR_NAME, func(name []byte) { kind = nl.BytesToString(name) })
	switch kind {
	case "fwd":
		r.forwards = true
	case "immediate":
		each(element, unix.NFTA_EXPR_DATA, func(immediate []byte) {
			each(immediate, unix.NFTA_IMMEDIATE_DATA, func(data []byte) {
				each(data, unix.NFTA_DATA_VALUE, func(value []byte) {
					if len(value) == 4 {
						r.to = append(r.to, int(binary.NativeEndian.Uint32(value)))
					}
				})
			})
		})
	}
}

// each calls f with the attributes of a kind; of what can't be parsed there are none.
func each(b []byte, kind uint16, f func(value []byte)) {
	_ = attributes(b, func(k uint16, value []byte) error {
		if k == kind {
			f(value)
		}
		return nil
	})
}
