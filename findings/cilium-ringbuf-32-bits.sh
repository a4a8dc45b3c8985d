#!/usr/bin/env bash
# In a program of 32 bits on a kernel of 64, a ring buffer is full for ever once 4 GiB went through it.
#
# Version: github.com/cilium/ebpf v0.22.0 (package ringbuf). Expected: a reader that keeps up makes room, however much has passed. Seen: of its
# position, which the kernel reads as an unsigned long of 64 bits, the reader writes an uintptr, of 32: after 4 GiB it begins again with 0,
# and bpf_ringbuf_output answers EAGAIN from then on. Built for 64 bits, the same program goes on.
#
# It needs root, and a kernel for amd64 that runs programs for 386.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module elsewhere

go 1.24

require github.com/cilium/ebpf v0.22.0
M
cat >main.go <<'G'
package main

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
)

const size = 1 << 20 // of a record

func main() {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	events, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4 * size})
	must(err)
	record, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: size, MaxEntries: 1})
	must(err)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMapValue(asm.R2, record.FD(), 0),
			asm.LoadMapPtr(asm.R1, events.FD()),
			asm.Mov.Imm(asm.R3, size),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnRingbufOutput.Call(),
			asm.Return(),
		},
	})
	must(err)
	reader, err := ringbuf.NewReader(events)
	must(err)
	var read ringbuf.Record
	for i := range 5000 {
		answer, err := program.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
		must(err)
		if answer != 0 {
			fmt.Printf("of 5000 records of a megabyte, each read at once, %d found room; then error %d\n", i, -int32(answer))
			return
		}
		must(reader.ReadInto(&read))
	}
	fmt.Println("5000 records of a megabyte, each read at once, found room")
}
G
go mod tidy >/dev/null 2>&1
for arch in amd64 386; do
	echo "$arch: $(CGO_ENABLED=0 GOARCH=$arch go run .)"
done | tee seen
diff - seen <<'S'
amd64: 5000 records of a megabyte, each read at once, found room
386: of 5000 records of a megabyte, each read at once, 4096 found room; then error 11
S
