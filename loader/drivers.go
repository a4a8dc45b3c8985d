package loader

import (
	"fmt"
	"slices"
)

// manner is what a driver does to traffic when a program comes or goes natively.
type manner uint8

const (
	unknown  manner = iota // nobody has looked
	gentle                 // nothing is lost
	asSlaves               // what the interfaces below do
	stops                  // it stops, for as long as the queues are made anew
	resets                 // it stops, and the link goes down
	none                   // it takes no program natively, and says so before it does anything
)

// driver is what is known of one, and from where.
type driver struct {
	manner manner
	source string // function and file in Linux, by which it was read; and where it was run
}

// drivers are those that are known, by the name that ethtool says. What is not here
// is asked for no native program unless the user asks for one.
//
// Only what was seen in its source to leave the receive queues as they are, or was
// run and lost nothing, is gentle. docs/drivers.md is made of this table: go test -update.
var drivers = map[string]driver{
	"veth":       {gentle, "veth_xdp_set, drivers/net/veth.c: starts NAPI beside the queues; run on 6.12, 6.18 and 7.3"},
	"tun":        {gentle, "tun_xdp_set, drivers/net/tun.c: sets a pointer; taps run on 6.12 and 7.3"},
	"virtio_net": {gentle, "virtnet_xdp_set, drivers/net/virtio_net.c: stops polling for a moment, the queues stay and fill; run on 6.12 and 7.3"},
	"cpsw":       {gentle, "cpsw_xdp_prog_setup, drivers/net/ethernet/ti/cpsw_priv.c: sets a pointer"},
	"fbnic":      {gentle, "fbnic_bpf, drivers/net/ethernet/meta/fbnic/fbnic_netdev.c: sets a pointer"},
	"sfc":        {gentle, "efx_xdp_setup_prog, drivers/net/ethernet/sfc/efx.c: sets a pointer"},
	"sfc_siena":  {gentle, "efx_xdp_setup_prog, drivers/net/ethernet/sfc/siena/efx.c: sets a pointer"},
	"tsnep":      {gentle, "tsnep_xdp_setup_prog, drivers/net/ethernet/engleder/tsnep_xdp.c: sets a pointer"},
	"bonding":    {asSlaves, "bond_xdp_set, drivers/net/bonding/bond_main.c: sets it on every slave; run on 6.12 and 7.3"},

	"igb":                 {resets, "igb_xdp_setup, drivers/net/ethernet/intel/igb/igb_main.c: igb_close and igb_open; run on 6.12 and 7.3: the link is away for a second"},
	"ixgbe":               {resets, "ixgbe_xdp_setup, drivers/net/ethernet/intel/ixgbe/ixgbe_main.c: ixgbe_setup_tc, which closes and opens"},
	"ixgbevf":             {resets, "ixgbevf_xdp_setup, drivers/net/ethernet/intel/ixgbevf/ixgbevf_main.c: closes and opens"},
	"igc":                 {resets, "igc_xdp_set_prog, drivers/net/ethernet/intel/igc/igc_xdp.c: igc_close and igc_open"},
	"i40e":                {stops, "i40e_xdp_setup, drivers/net/ethernet/intel/i40e/i40e_main.c: i40e_reset_and_rebuild"},
	"ice":                 {stops, "ice_xdp_setup_prog, drivers/net/ethernet/intel/ice/ice_main.c: ice_down and ice_up"},
	"vmxnet3":             {resets, "vmxnet3_xdp_set, drivers/net/vmxnet3/vmxnet3_xdp.c: quiesces and resets the device; run on 6.12 and 7.3: 15 to 90 ms"},
	"mlx5_core":           {stops, "mlx5e_xdp_set, drivers/net/ethernet/mellanox/mlx5/core/en_main.c: mlx5e_safe_switch_params opens other channels"},
	"mlx4_en":             {stops, "mlx4_xdp_set, drivers/net/ethernet/mellanox/mlx4/en_netdev.c: stops and starts the port"},
	"ena":                 {stops, "ena_xdp_set, drivers/net/ethernet/amazon/ena/ena_xdp.c: ena_down and ena_up"},
	"bnxt_en":             {stops, "bnxt_xdp_set, drivers/net/ethernet/broadcom/bnxt/bnxt_xdp.c: bnxt_close_nic and bnxt_open_nic"},
	"mana":                {stops, "mana_xdp_set, drivers/net/ethernet/microsoft/mana/mana_bpf.c: since 6.17 mana_detach and mana_attach"},
	"hv_netvsc":           {stops, "netvsc_bpf, drivers/net/hyperv/netvsc_bpf.c: sets pointers, and hands the program to the VF, which does as its driver does"},
	"am65-cpsw-nuss":      {stops, "am65_cpsw_xdp_prog_setup, drivers/net/ethernet/ti/am65-cpsw-nuss.c: makes all queues anew"},
	"gve":                 {stops, "gve_set_xdp, drivers/net/ethernet/google/gve/gve_main.c: changes the queues"},
	"stmmaceth":           {stops, "stmmac_xdp_set_prog, drivers/net/ethernet/stmicro/stmmac/stmmac_xdp.c: releases and opens"},
	"vif":                 {stops, "xennet_xdp_set, drivers/net/xen-netfront.c: agrees with the other side anew"},
	"atlantic":            {resets, "aq_xdp_setup, drivers/net/ethernet/aquantia/atlantic/aq_main.c: aq_ndev_close and aq_ndev_open"},
	"fsl_dpa":             {resets, "dpaa_setup_xdp, drivers/net/ethernet/freescale/dpaa/dpaa_eth.c: dpaa_eth_stop, which waits for 200 ms, and dpaa_open"},
	"fsl_dpaa2_eth":       {resets, "dpaa2_eth_setup_xdp, drivers/net/ethernet/freescale/dpaa2/dpaa2-eth.c: dev_close and dev_open"},
	"idpf":                {resets, "idpf_xdp_setup_prog, drivers/net/ethernet/intel/idpf/xdp.c: idpf_initiate_soft_reset, which stops the vport and its carrier"},
	"mtk_soc_eth":         {resets, "mtk_xdp_setup, drivers/net/ethernet/mediatek/mtk_eth_soc.c: mtk_stop and mtk_open"},
	"mvneta":              {resets, "mvneta_xdp_setup, drivers/net/ethernet/marvell/mvneta.c: mvneta_stop and mvneta_open"},
	"mvpp2":               {resets, "mvpp2_xdp_setup, drivers/net/ethernet/marvell/mvpp2/mvpp2_main.c: mvpp2_stop and mvpp2_open"},
	"netsec":              {resets, "netsec_xdp_setup, drivers/net/ethernet/socionext/netsec.c: netsec_netdev_stop, also of the PHY, and netsec_netdev_open"},
	"nfp":                 {resets, "nfp_net_xdp_setup_drv, drivers/net/ethernet/netronome/nfp/nfp_net_common.c: nfp_net_ring_reconfig, which takes the carrier off"},
	"nicvf":               {resets, "nicvf_xdp_setup, drivers/net/ethernet/cavium/thunder/nicvf_main.c: nicvf_stop and nicvf_open"},
	"qede":                {resets, "qede_xdp_set, drivers/net/ethernet/qlogic/qede/qede_filter.c: qede_reload, which takes the link down"},
	"rvu-nicpf":           {resets, "otx2_xdp_setup, drivers/net/ethernet/marvell/octeontx2/nic/otx2_pf.c: otx2_stop and otx2_open"},
	"fec":                 {stops, "fec_enet_bpf, drivers/net/ethernet/freescale/fec_main.c: fec_restart"},
	"fsl_enetc":           {stops, "enetc_setup_xdp_prog, drivers/net/ethernet/freescale/enetc/enetc.c: enetc_reconfigure makes all rings anew"},
	"ionic":               {stops, "ionic_xdp_config, drivers/net/ethernet/pensando/ionic/ionic_lif.c: ionic_reconfigure_queues"},
	"lan966x-switch":      {stops, "lan966x_xdp_setup, drivers/net/ethernet/microchip/lan966x/lan966x_xdp.c: lan966x_fdma_reload_page_pool, for all ports"},
	"icssg-prueth":        {unknown, "emac_xdp_setup, drivers/net/ethernet/ti/icssg/icssg_prueth.c: sets a pointer in 7.3; its first version was not read"},
	"funeth":              {unknown, "fun_xdp_setup, drivers/net/ethernet/fungible/funeth/funeth_main.c: has the card's firmware change the queues' headroom, and what that does can't be read"},
	"netdevsim":           {unknown, "nsim_xdp_set_prog, drivers/net/netdevsim/bpf.c: takes the program and never runs it; run on 6.12"},
	"bridge":              {none, "run on 6.12 and 7.3"},
	"dummy":               {none, "run on 6.12 and 7.3"},
	"ifb":                 {none, "run on 6.12 and 7.3"},
	"macvlan":             {none, "run on 6.12 and 7.3"},
	"macvtap":             {none, "run on 6.12 and 7.3"},
	"ipvlan":              {none, "run on 6.12 and 7.3"},
	"vxlan":               {none, "run on 6.12 and 7.3"},
	"geneve":              {none, "run on 6.12 and 7.3"},
	"vrf":                 {none, "run on 6.12 and 7.3"},
	"hsr":                 {none, "run on 6.12 and 7.3"},
	"macsec":              {none, "run on 6.12 and 7.3"},
	"gretap":              {none, "run on 6.12 and 7.3"},
	"netkit":              {none, "netkit_xsk, drivers/net/netkit.c: EOPNOTSUPP; run on 6.12 and 7.3"},
	"fsl_enetc_vf":        {none, "enetc_ndev_ops, drivers/net/ethernet/freescale/enetc/enetc_vf.c: has no ndo_bpf"},
	"rvu-nicvf":           {none, "otx2vf_netdev_ops, drivers/net/ethernet/marvell/octeontx2/nic/otx2_vf.c: has no ndo_bpf"},
	"team":                {none, "run on 6.12 and 7.3"},
	"e1000":               {none, "run on 6.12 and 7.3"},
	"e1000e":              {none, "run on 6.12 and 7.3"},
	"igbvf":               {none, "run on 6.12 and 7.3"},
	"8139cp":              {none, "run on 6.12 and 7.3"},
	"8139too":             {none, "run on 6.12 and 7.3"},
	"pcnet32":             {none, "run on 6.12 and 7.3"},
	"e100":                {none, "run on 6.12 and 7.3"},
	"tulip":               {none, "run on 6.12 and 7.3"},
	"ne2k-pci":            {none, "run on 6.12 and 7.3"},
	"cdc_ether":           {none, "run on 6.12 and 7.3"},
	"802.1Q VLAN Support": {none, "run on 6.12 and 7.3"},
}

// nativeSince is the Linux from which drivers take native programs, of those that do not all
// the way back to 5.10: by the commits that the table in docs.ebpf.io names (program type XDP,
// driver support), and for those that Debian's kernels for amd64 have by what their modules call.
// From 6.3 on the driver is asked instead.
var nativeSince = map[string]version{
	"am65-cpsw-nuss": {6, 10},
	"atlantic":       {5, 19},
	"bonding":        {5, 15},
	"fec":            {6, 2},
	"fsl_dpa":        {5, 11},
	"fsl_enetc":      {5, 13},
	"gve":            {6, 4},
	"igc":            {5, 13},
	"ionic":          {6, 9},
	"lan966x-switch": {6, 2},
	"mana":           {5, 17},
	"mtk_soc_eth":    {6, 0},
	"rvu-nicpf":      {5, 16},
	"stmmaceth":      {5, 13},
	"vmxnet3":        {6, 6},
}

// version is one of Linux.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// A HarmError says that native mode was not tried, as the driver is not known to
// leave traffic alone when a program comes or goes. It is for errors.As.
type HarmError struct {
	Driver string // by the name that ethtool says; "" where it has none
	Known  bool   // it is known not to
	Down   bool   // and takes the link down, which others see, too
	None   bool   // it takes no native program: it says so itself (Linux 6.3), or this Linux is older than Since
	Since  string // the Linux from which the driver takes some, where it can't be asked

	// Link: a program that is held by a link, and so goes when its process is
	// killed, would then have the kernel follow a null pointer.
	Link bool
}

func (e *HarmError) Error() string {
	driver := "the driver"
	if e.Driver != "" {
		driver = "driver " + e.Driver
	}
	if e.Link {
		return fmt.Sprintf("native XDP held by a link has stopped kernels, with %s", driver)
	}
	switch {
	case e.Down:
		return fmt.Sprintf("native XDP would take the link down at start and end, with %s", driver)
	case e.Since != "":
		return fmt.Sprintf("native XDP not tried: driver %s has none before Linux %s", e.Driver, e.Since)
	case e.None:
		return fmt.Sprintf("native XDP not tried: %s announces none", driver)
	case e.Known:
		return fmt.Sprintf("native XDP would stop traffic at start and end, with %s", driver)
	}
	return fmt.Sprintf("native XDP not tried: whether %s leaves traffic alone is not known", driver)
}

// NativeHarm is why Auto asks for no native program on an interface, in a namespace as
// in [Options]: nil where it does, and a [HarmError] where the driver is not known to
// leave traffic alone then. It changes nothing.
func NativeHarm(iface, namespace string) error {
	ns, err := openNamespace(namespace)
	if err != nil {
		return err
	}
	s := &site{ns: ns}
	defer s.release()
	err = ns.do(func() (err error) {
		if s.conn, err = dial(); err != nil {
			return err
		}
		s.link, err = s.conn.find(iface)
		return err
	})
	if err != nil {
		return err
	}
	if harm := s.harm(); harm != nil {
		return harm
	}
	return nil
}

// harm is why native mode is not to be tried on an interface unless it is asked for,
// or nil where it is known to leave traffic alone.
func (s *site) harm() *HarmError {
	if s.link.loopback() {
		return nil // it takes none, and says so
	}
	name := s.driver(s.link.name)
	switch m := drivers[name].manner; m {
	case gentle:
		return nil
	case asSlaves:
		return s.harmOfSlaves(name)
	case none:
		if announces, known := s.announcesNative(s.link.index); known && announces {
			return harmOf(name, unknown) // it has learnt to since
		}
		return nil
	default:
		if harm := s.lacksNative(s.link.index, name); harm != nil {
			return harm
		}
		return harmOf(name, m)
	}
}

// lacksNative is the harm of a driver that has no native mode, as far as that can be known
// without trying, which the driver may not leave traffic alone for.
func (s *site) lacksNative(index int, name string) *HarmError {
	announces, known := s.announcesNative(index)
	since, recent := nativeSince[name]
	switch {
	case known && !announces:
		return &HarmError{Driver: name, None: true}
	case !known && recent && !sinceLinux(since.major, since.minor):
		return &HarmError{Driver: name, None: true, Since: since.String()}
	}
	return nil
}

// announcesNative is whether the driver of an interface says that it takes native programs, where
// the kernel can be asked. A driver that does not say so may take them all the same, if it is
// from elsewhere than Linux.
func (s *site) announcesNative(index int) (announces, known bool) {
	const basic = 1 << 0 // NETDEV_XDP_ACT_BASIC
	s.ns.do(func() error {
		f, err := DeviceFeatures(index)
		announces, known = f.XDP&basic != 0, err == nil
		return nil
	})
	return announces, known
}

// harmOf is that of a driver of a manner.
func harmOf(name string, m manner) *HarmError {
	return &HarmError{Driver: name, Known: m == stops || m == resets, Down: m == resets}
}

// harmOfLink is why a native program is not to be held by a link, or nil: with a veth,
// also as a bond's slave, Linux 6.1 and 6.12 died of it.
func (s *site) harmOfLink() *HarmError {
	const veth = "veth"
	switch s.driver(s.link.name) {
	case veth:
		return &HarmError{Driver: veth, Known: true, Link: true}
	case "bonding":
		links, err := s.conn.links()
		slave := func(l link) bool { return l.master == s.link.index && s.driver(l.name) == veth }
		if err != nil || slices.ContainsFunc(links, slave) {
			return &HarmError{Driver: veth, Known: err == nil, Link: true}
		}
	}
	return nil
}

// harmOfSlaves is that of the first slave that has one, of a bond with a driver of a name.
func (s *site) harmOfSlaves(bond string) *HarmError {
	links, err := s.conn.links()
	if err != nil {
		return &HarmError{Driver: bond}
	}
	for _, l := range links {
		if l.master != s.link.index {
			continue
		}
		name := s.driver(l.name)
		switch m := drivers[name].manner; m {
		case gentle:
		case none: // the kernel refuses the bond, then
		default:
			if harm := s.lacksNative(s.link.index, bond); harm != nil {
				return harm
			}
			return harmOf(name, m)
		}
	}
	return nil
}
