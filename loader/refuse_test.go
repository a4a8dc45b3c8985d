package loader

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/xdplog/xdplog/asm"
)

// TestNoEthernet refuses an interface whose packets have no Ethernet header.
func TestNoEthernet(t *testing.T) {
	lab := newLab(t)
	tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "v0tun"}, Mode: netlink.TUNTAP_MODE_TUN}
	if err := lab.namespace(t).do(func() error { return netlink.LinkAdd(tun) }); err != nil {
		t.Skipf("this kernel lacks tun devices: %v", err)
	}
	_, err := Attach(load(t, asm.Config{}), Options{Interface: "v0tun", Namespace: lab.name})
	says(t, err, "a tunnel (tun)", "no Ethernet frames", "seen at tc alone")
	is(t, err, ErrNotEthernet)
	cfg := asm.Config{Place: asm.TCIngress, RawIP: []bool{true}}
	_, err = Attach(load(t, cfg), Options{Interface: "v0", Namespace: lab.name, Place: asm.TCIngress, Config: cfg})
	says(t, err, "have an Ethernet header")
}

// TestReplayRefused refuses a program that is for recorded packets.
func TestReplayRefused(t *testing.T) {
	lab := newLab(t)
	_, err := Attach(load(t, asm.Config{Replay: true, Transport: asm.Ringbuf}), lab.options(Auto))
	if err == nil || !strings.Contains(err.Error(), "recorded packets") {
		t.Errorf("Attach = %v, want it to be refused", err)
	}
	lab.bare(t)
}
