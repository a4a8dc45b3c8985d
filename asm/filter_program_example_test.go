package asm_test

import (
	"log"
	"net"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/filter"
)

// A program for XDP that drops what a filter matches, for a minute.
func ExampleFilterProgram() {
	const xdpDrop, xdpPass = 1, 2 // linux/bpf.h
	unwanted, err := filter.Parse("udp port 53 and not src net 192.0.2.0/24")
	if err != nil {
		log.Fatal(err)
	}
	spec, err := asm.FilterProgram(asm.FilterConfig{Filter: unwanted, Match: xdpDrop, Otherwise: xdpPass})
	if err != nil {
		log.Fatal(err)
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		log.Fatal(err)
	}
	defer collection.Close()
	iface, err := net.InterfaceByName("eth0")
	if err != nil {
		log.Fatal(err)
	}
	attached, err := link.AttachXDP(link.XDPOptions{
		Program:   collection.Programs[asm.FilterProgramName],
		Interface: iface.Index,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer attached.Close()
	time.Sleep(time.Minute)
}
