package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// modules are those that the tests need and the kernels don't have built in.
var modules = []string{"veth", "sch_ingress", "cls_bpf"}

// extraModules are those of other devices, and of filters. Not every kernel has all of
// them as modules, or at all.
var extraModules = []string{
	"bonding", "team", "macvlan", "bridge", "8021q", "vxlan",
	"dummy", "ifb", "act_mirred", "cls_u32", "ipvlan", "vrf", "geneve", "hsr", "macsec",
	"tun", "tap", "wireguard", "ipip", "sit", "ip_gre", "ip6_gre", "ip6_tunnel", "ip_vti",
	"macvtap", "ipvtap", "pppoe", "l2tp_eth", "l2tp_netlink", "gtp", "xfrm_user", "xfrm_interface", "esp4", "gcm", "ctr", "aes_generic", "ghash_generic", "seqiv", "nlmon", "vcan",
	"crc32c_generic", // which libcrc32c asks for by no symbol
	"nf_tables", "nft_fwd_netdev", "netkit", "team_mode_roundrobin", "team_mode_activebackup",
	"fou", "sch_tbf", "mpls_router", "nft_flow_offload", "nf_flow_table_inet",
}

// moduleFolders are those of a kernel's modules that may be needed, or be what one
// that is needed depends on.
var moduleFolders = []string{
	"/kernel/net/", "/kernel/drivers/net/", "/kernel/lib/", "/kernel/crypto/", "/kernel/arch/",
	// What drivers of NICs need: their buses, clocks, and what is in their chips.
	"/kernel/drivers/virtio/", "/kernel/drivers/usb/", "/kernel/drivers/ptp/", "/kernel/drivers/pps/", "/kernel/drivers/dca/", "/kernel/drivers/i2c/",
}

// moduleFile reports whether a file in a package is a module that may be needed.
func moduleFile(name string) bool {
	base := strings.TrimSuffix(name, ".xz")
	return strings.HasSuffix(base, ".ko") && slices.ContainsFunc(moduleFolders, func(f string) bool { return strings.Contains(name, f) })
}

// A moduleSet is the modules of a kernel, as they came in its package.
type moduleSet struct {
	files map[string]string // by name, as the kernel writes it
	loads [][]byte          // in the order in which to load them
	names []string          // of these
}

// findModules finds those in a folder.
func findModules(dir string) (*moduleSet, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.ko*"))
	if err != nil {
		return nil, err
	}
	m := &moduleSet{files: map[string]string{}}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		m.files[moduleName(name)] = file
	}
	return m, nil
}

// moduleName is a module's name as the kernel writes it.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// add has a module loaded, behind what it depends on. It reports whether there is one.
func (m *moduleSet) add(name string) (bool, error) {
	name = moduleName(name)
	if slices.Contains(m.names, name) {
		return true, nil
	}
	file, ok := m.files[name]
	if !ok {
		return false, nil
	}
	content, err := readModule(file)
	if err != nil {
		return false, err
	}
	depends, err := moduleDepends(content)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path.Base(file), err)
	}
	for _, on := range depends {
		if _, err := m.add(on); err != nil { // what is not there is built in
			return false, err
		}
	}
	m.names, m.loads = append(m.names, name), append(m.loads, content)
	return true, nil
}

// readModule is a module, which is packed since Linux 6.12.
func readModule(file string) ([]byte, error) {
	if strings.HasSuffix(file, ".xz") {
		return output(exec.Command("xz", "-dc", file))
	}
	return os.ReadFile(file)
}

// moduleDepends are the names of the modules that one needs.
func moduleDepends(content []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, nil
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for word := range bytes.SplitSeq(info, []byte{0}) {
		if on, ok := bytes.CutPrefix(word, []byte("depends=")); ok && len(on) > 0 {
			return strings.Split(string(on), ","), nil
		}
	}
	return nil, nil
}
