package classic_test

import (
	"encoding/binary"
	"fmt"
	"log"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/filter/classic"
)

// The program as instructions, as golang.org/x/net/bpf writes them, and on its machine.
func Example() {
	f, err := filter.Parse("less 60 or ether src 02:00:00:00:00:01")
	if err != nil {
		log.Fatal(err)
	}
	program, err := classic.Compile(f, classic.Options{SnapLen: 96})
	if err != nil {
		log.Fatal(err)
	}
	for _, ins := range program {
		fmt.Println(ins)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		log.Fatal(err)
	}
	n, err := vm.Run(make([]byte, 100))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes are wanted")

	// Output:
	// ld #len
	// jle #60,4
	// ldh [10]
	// jneq #1,3
	// ld [6]
	// jneq #33554432,1
	// ret #96
	// ret #0
	// 0 bytes are wanted
}

// A packet socket that gets what matches. The outer VLAN tag of its packets is beside
// them.
func Example_packetSocket() {
	socket, err := listen("eth0", "tcp port 443 and not vlan 10")
	if err != nil {
		log.Fatal(err)
	}
	defer unix.Close(socket)
	packet := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(socket, packet, 0)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%x\n", packet[:n])
	}
}

func listen(iface, expression string) (socket int, err error) {
	wanted, err := filter.Parse(expression)
	if err != nil {
		return 0, err
	}
	program, err := classic.Compile(wanted, classic.Options{TagBeside: true})
	if err != nil {
		return 0, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return 0, err
	}
	where, err := net.InterfaceByName(iface)
	if err != nil {
		return 0, err
	}
	// Without a protocol it gets nothing, until it is bound, with its filter.
	socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := setFilter(socket, raw); err != nil {
		unix.Close(socket)
		return 0, fmt.Errorf("attach the filter: %w", err)
	}
	all := unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: where.Index}
	if err := unix.Bind(socket, &all); err != nil {
		unix.Close(socket)
		return 0, fmt.Errorf("listen on %s: %w", iface, err)
	}
	return socket, nil
}

// setFilter gives a socket its filter, or another one.
func setFilter(socket int, raw []bpf.RawInstruction) error {
	program := make([]unix.SockFilter, len(raw))
	for i, ins := range raw {
		program[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func htons(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
