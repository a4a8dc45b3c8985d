package main

import "fmt"

// A card is a model of a NIC that QEMU has.
type card struct {
	model  string   // as QEMU calls it
	device []string // arguments that it needs before its own
	module string   // of the kernel's
	bus    string   // that it is on, and that device makes
	few    bool     // its driver is in every kernel here
	tap    bool     // has several queues, which takes a tap
}

// cards are those that a guest has, each on a wire of its own whose other end is a
// virtio_net card. Behind a driver's module come those that it does not name itself.
var cards = []card{
	{model: "virtio-net-pci", module: "virtio_net", few: true},
	{model: manyQueues, module: "virtio_net", tap: true},
	{model: "vmxnet3", module: "vmxnet3", few: true},
	{model: "igb", device: []string{"-device", "pcie-root-port,id=rootport,chassis=1"}, bus: "rootport", module: "igb"}, // where there is room for virtual functions
	{model: "e1000e", module: "e1000e"},
	{model: "e1000", module: "e1000"},
	{model: "rtl8139", module: "8139cp"},
	{model: "pcnet", module: "pcnet32"},
	{model: "i82559c", module: "e100"},
	{model: "ne2k_pci", module: "ne2k_pci"},
	{model: "tulip", module: "tulip"},
	{model: "usb-net", device: []string{"-device", "qemu-xhci,id=xhci"}, bus: "xhci.0", module: "cdc_ether"},
}

// manyQueues is what the card with several queues is called here.
const manyQueues = "virtio-net-pci-mq"

// busModules are those of buses that cards need and their drivers don't name, and of what
// cards add to them.
var busModules = []string{"virtio_pci", "xhci_pci", "igbvf"}

// cardsEnv tells the tests which cards there are: MODEL=MAC, and the sender's MAC.
const cardsEnv = "XDPLOG_E2E_CARDS"

// cards are those of a machine.
func (m machine) cards() (there []card) {
	if m.arch != "amd64" {
		return nil
	}
	for _, c := range cards {
		if (c.few || m.allCards) && (!c.tap || m.taps) {
			there = append(there, c)
		}
	}
	return there
}

// cardArguments put a machine's cards on their wires.
func (m machine) cardArguments() (args []string) {
	for i, c := range m.cards() {
		if c.tap {
			args = append(args,
				"-netdev", "tap,script=no,downscript=no,id=sender"+fmt.Sprint(i)+",ifname="+oneTap, "-device", fmt.Sprintf("virtio-net-pci,netdev=sender%d,mac=%s,romfile=", i, senderMAC(i)),
				"-netdev", fmt.Sprintf("tap,script=no,downscript=no,id=card%d,ifname=%s,queues=%d", i, manyTap, manyCount),
				"-device", fmt.Sprintf("virtio-net-pci,netdev=card%d,mac=%s,romfile=,mq=on,vectors=%d", i, cardMAC(i), 2*manyCount+2))
			continue
		}
		bus, rom := "", ",romfile=" // whose firmware is not needed
		if c.bus != "" {
			bus = ",bus=" + c.bus
		}
		if c.model == "usb-net" {
			rom = ""
		}
		args = append(args, c.device...)
		args = append(args,
			"-netdev", fmt.Sprintf("hubport,id=sender%d,hubid=%d", i, i), "-device", fmt.Sprintf("virtio-net-pci,netdev=sender%d,mac=%s,romfile=", i, senderMAC(i)),
			"-netdev", fmt.Sprintf("hubport,id=card%d,hubid=%d", i, i), "-device", fmt.Sprintf("%s,netdev=card%d,mac=%s%s%s", c.model, i, cardMAC(i), bus, rom))
	}
	return args
}

func senderMAC(i int) string { return fmt.Sprintf("52:54:00:00:%02x:01", i) }
func cardMAC(i int) string   { return fmt.Sprintf("52:54:00:00:%02x:02", i) }

// cardEnvironment is cardsEnv of a machine.
func (m machine) cardEnvironment() string {
	text := cardsEnv + "="
	for i, c := range m.cards() {
		text += fmt.Sprintf("%s=%s,%s ", c.model, cardMAC(i), senderMAC(i))
	}
	return text
}
