#!/usr/bin/env bash
# Every atomic operation that a program written with cilium/ebpf's assembler asks for is encoded as an addition.
#
# Version: github.com/cilium/ebpf v0.22.0 (package asm). Which operation an atomic instruction does is in its imm (RFC 9669, 5.3), for which the
# package has Xchg, FetchAdd, XorAtomic and others, "src gets populated with the old value". Expected: the imm of the RFC, in the last column.
# Seen: 0, which adds and fetches nothing: the verifier takes it, and src keeps what it had. What is read, from clang's ELF files say, keeps its imm.
#
#   AddAtomic   0x00     0x00
#   FetchAdd    0x00     0x01
#   XorAtomic   0x00     0xa0
#   Xchg        0x00     0xe1
#   CmpXchg     0x00     0xf1
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
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

func imm(insns asm.Instructions) uint32 {
	var b bytes.Buffer
	if err := insns.Marshal(&b, binary.LittleEndian); err != nil {
		panic(err)
	}
	return binary.LittleEndian.Uint32(b.Bytes()[4:])
}

func main() {
	for _, op := range []struct {
		name   string
		atomic asm.AtomicOp
		imm    byte
	}{{"AddAtomic", asm.AddAtomic, 0}, {"FetchAdd", asm.FetchAdd, 1}, {"XorAtomic", asm.XorAtomic, 0xa0}, {"Xchg", asm.Xchg, 0xe1}, {"CmpXchg", asm.CmpXchg, 0xf1}} {
		read, err := asm.AppendInstructions(nil, bytes.NewReader([]byte{0xdb, 0x21, 8, 0, op.imm, 0, 0, 0}), binary.LittleEndian, "")
		if err != nil {
			panic(err)
		}
		written := op.atomic.Mem(asm.R1, asm.R2, asm.DWord, 8)
		fmt.Printf("%s: written 0x%02x, read and written 0x%02x, same operation %v\n",
			op.name, imm(asm.Instructions{written}), imm(read), read[0].OpCode == written.OpCode)
	}
}
G
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go run . | tee seen
diff - seen <<'S'
AddAtomic: written 0x00, read and written 0x00, same operation true
FetchAdd: written 0x00, read and written 0x01, same operation true
XorAtomic: written 0x00, read and written 0xa0, same operation true
Xchg: written 0x00, read and written 0xe1, same operation true
CmpXchg: written 0x00, read and written 0xf1, same operation true
S
