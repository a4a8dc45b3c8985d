package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// forwardTo has a rule of nftables forward to an interface all that right0 receives:
//
//	table netdev shape { chain ingress { type filter hook ingress device right0 priority 0; fwd to NAME } }
func (l *lab) forwardTo(t *testing.T, name string) {
	t.Helper()
	const (
		table, chainName = "shape", "ingress"
		register         = 1 // NFT_REG_1
		forwardFrom      = 1 // NFTA_FWD_SREG_DEV
	)
	var lacks error
	l.right.change(t, name, func(to netlink.Link) error {
		number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
		text := func(kind int, s string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(s)) }
		expression := func(name string, data ...*nl.RtAttr) *nl.RtAttr {
			return nested(unix.NFTA_LIST_ELEM, text(unix.NFTA_EXPR_NAME, name), nested(unix.NFTA_EXPR_DATA, data...))
		}
		lacks = nft(
			nftMessage(unix.NFT_MSG_NEWTABLE, text(unix.NFTA_TABLE_NAME, table)),
			nftMessage(unix.NFT_MSG_NEWCHAIN, text(unix.NFTA_CHAIN_TABLE, table), text(unix.NFTA_CHAIN_NAME, chainName), text(unix.NFTA_CHAIN_TYPE, "filter"),
				nested(unix.NFTA_CHAIN_HOOK,
					nl.NewRtAttr(unix.NFTA_HOOK_HOOKNUM, number(unix.NF_NETDEV_INGRESS)),
					nl.NewRtAttr(unix.NFTA_HOOK_PRIORITY, number(0)),
					text(unix.NFTA_HOOK_DEV, right(0)))),
			nftMessage(unix.NFT_MSG_NEWRULE, text(unix.NFTA_RULE_TABLE, table), text(unix.NFTA_RULE_CHAIN, chainName),
				nested(unix.NFTA_RULE_EXPRESSIONS,
					expression("immediate", nl.NewRtAttr(unix.NFTA_IMMEDIATE_DREG, number(register)),
						nested(unix.NFTA_IMMEDIATE_DATA, nl.NewRtAttr(unix.NFTA_DATA_VALUE, nl.Uint32Attr(uint32(to.Attrs().Index))))),
					expression("fwd", nl.NewRtAttr(forwardFrom, number(register))))),
		)
		return nil
	})
	if errors.Is(lacks, unix.EPROTONOSUPPORT) || errors.Is(lacks, unix.EOPNOTSUPP) || errors.Is(lacks, unix.ENOENT) {
		t.Skipf("this kernel lacks nftables' rules for devices: %v", lacks)
	}
	if lacks != nil {
		t.Fatal(lacks)
	}
}

func nftMessage(kind int, attributes ...*nl.RtAttr) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_CREATE|unix.NLM_F_ACK)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_NETDEV, Version: nl.NFNETLINK_V0})
	for _, a := range attributes {
		request.AddData(a)
	}
	return request
}

// nft sends messages as one transaction of the thread's namespace.
func nft(messages ...*nl.NetlinkRequest) error {
	edge := func(kind int) []byte {
		request := nl.NewNetlinkRequest(kind, 0)
		request.AddData(&nl.Nfgenmsg{Version: nl.NFNETLINK_V0, ResId: unix.NFNL_SUBSYS_NFTABLES << 8}) // in network order
		return request.Serialize()
	}
	batch := edge(unix.NFNL_MSG_BATCH_BEGIN)
	for _, m := range messages {
		batch = append(batch, m.Serialize()...)
	}
	batch = append(batch, edge(unix.NFNL_MSG_BATCH_END)...)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 1<<12)
	for range messages {
		n, _, err := unix.Recvfrom(fd, answer, 0)
		if err != nil {
			return err
		}
		if errno := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:n])); errno != 0 {
			return fmt.Errorf("nftables: %w", unix.Errno(-errno))
		}
	}
	return nil
}
