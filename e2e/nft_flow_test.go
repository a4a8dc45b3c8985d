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
