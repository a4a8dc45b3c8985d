package e2e

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func nftNumber(kind int, n uint32) *nl.RtAttr {
	return nl.NewRtAttr(kind, binary.BigEndian.AppendUint32(nil, n))
}

func nftText(kind int, s string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(s)) }

// dropAtEgress has nftables drop what right1 is to send:
//
//	table netdev filter { chain egress { type filter hook egress device right1 priority 0; policy drop; } }
func (l *lab) dropAtEgress(t *testing.T) {
	t.Helper()
	const table, chain, egress, drop = "filter", "egress", 1, 0
	l.rules(t,
		nftMessage(unix.NFT_MSG_NEWTABLE, nftText(unix.NFTA_TABLE_NAME, table)),
		nftMessage(unix.NFT_MSG_NEWCHAIN, nftText(unix.NFTA_CHAIN_TABLE, table), nftText(unix.NFTA_CHAIN_NAME, chain), nftText(unix.NFTA_CHAIN_TYPE, "filter"),
			nftNumber(unix.NFTA_CHAIN_POLICY, drop),
			nested(unix.NFTA_CHAIN_HOOK, nftNumber(unix.NFTA_HOOK_HOOKNUM, egress), nftNumber(unix.NFTA_HOOK_PRIORITY, 0), nftText(unix.NFTA_HOOK_DEV, right(1)))))
}

// flowTable has the right forward, known flows past the rules: as proof all others are
// dropped in the end.
//
//	table ip filter {
//		flowtable fast { hook ingress priority 0; devices = { right0, right1 }; }
//		chain forward { type filter hook forward priority 0; flow add @fast; }
//	}
func (l *lab) flowTable(t *testing.T) func() {
	t.Helper()
	const (
		table, chain, flows                           = "filter", "forward", "fast"
		newFlowTable                                  = 22      // NFT_MSG_NEWFLOWTABLE
		ofTable, name, hook                           = 1, 2, 3 // NFTA_FLOWTABLE_…
		hookNumber, hookPriority, hookDevices, device = 1, 2, 3, 1
		flowTableName                                 = 1 // NFTA_FLOW_…
		forward, accept, drop                         = 2, 1, 0
	)
	l.forwards(t)
	chainWith := func(policy uint32) *nl.NetlinkRequest {
		return nftMessage(unix.NFT_MSG_NEWCHAIN, nftText(unix.NFTA_CHAIN_TABLE, table), nftText(unix.NFTA_CHAIN_NAME, chain), nftText(unix.NFTA_CHAIN_TYPE, "filter"),
			nftNumber(unix.NFTA_CHAIN_POLICY, policy),
			nested(unix.NFTA_CHAIN_HOOK, nftNumber(unix.NFTA_HOOK_HOOKNUM, forward), nftNumber(unix.NFTA_HOOK_PRIORITY, 0)))
	}
	l.rules(t, ofIPv4(
		nftMessage(unix.NFT_MSG_NEWTABLE, nftText(unix.NFTA_TABLE_NAME, table)),
		nftMessage(newFlowTable, nftText(ofTable, table), nftText(name, flows), nested(hook, nftNumber(hookNumber, 0), nftNumber(hookPriority, 0),
			nested(hookDevices, nftText(device, right(0)), nftText(device, right(1))))),
		chainWith(accept),
		nftMessage(unix.NFT_MSG_NEWRULE, nftText(unix.NFTA_RULE_TABLE, table), nftText(unix.NFTA_RULE_CHAIN, chain),
			nested(unix.NFTA_RULE_EXPRESSIONS, nested(unix.NFTA_LIST_ELEM,
				nftText(unix.NFTA_EXPR_NAME, "flow_offload"), nested(unix.NFTA_EXPR_DATA, nftText(flowTableName, flows))))),
	)...)

	there, back := ipv4(protoUDP), ipv4(protoUDP)
	there.SrcIP, there.DstIP = address(0, 1, false).AsSlice(), address(1, 1, false).AsSlice()
	back.SrcIP, back.DstIP = there.DstIP, there.SrcIP
	send := func(i int, f []byte) {
		t.Helper()
		if err := l.transmit(i, sumIPv4(patch(f, 0, l.wires[i].to...), 14)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		send(0, frame(ethernet(eth4), there, udp(1234, pairPort)))
		l.settle()
		send(1, frame(ethernet(eth4), back, udp(pairPort, 1234)))
		l.settle()
	}
	l.rules(t, ofIPv4(chainWith(drop))...)
	return func() { send(0, frame(ethernet(eth4), there, udp(1234, pairPort))) }
}

// ofIPv4 has messages be of the family of IPv4.
func ofIPv4(messages ...*nl.NetlinkRequest) []*nl.NetlinkRequest {
	for _, m := range messages {
		m.Data[0].(*nl.Nfgenmsg).NfgenFamily = unix.NFPROTO_IPV4
	}
	return messages
}

// rules has nftables on the right do what messages say.
func (l *lab) rules(t *testing.T, messages ...*nl.NetlinkRequest) {
	t.Helper()
	err := l.right.do(func() error { return nft(messages...) })
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		t.Skipf("this kernel lacks these rules of nftables: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
