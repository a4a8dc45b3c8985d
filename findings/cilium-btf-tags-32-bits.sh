#!/usr/bin/env bash
# A program of 32 bits reads no BTF that has a declaration tag on a whole function, as the kernel's own kfuncs have one.
#
# Version: github.com/cilium/ebpf v0.22.0 (package btf). Expected: what was marshalled is read back, whatever the width of int. Seen: the index of a
# tag that is on all of a declaration is -1 (BTF_KIND_DECL_TAG, component_idx), which is compared as 0xffffffff with the largest int: on 386 and
# arm "type id 3: index exceeds int". Kernels since 6.10 tag their kfuncs (bpf_kfunc), so there TypeByName finds none of them, and no program is
# loaded that calls one.
#
# It needs no rights, and a kernel for amd64 that runs programs for 386.
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
	"fmt"

	"github.com/cilium/ebpf/btf"
)

func main() {
	for _, tags := range [][]string{nil, {"bpf_kfunc"}} {
		proto := &btf.FuncProto{Return: &btf.Void{}}
		b, err := btf.NewBuilder([]btf.Type{&btf.Func{Name: "bpf_xdp_metadata_rx_hash", Type: proto, Linkage: btf.GlobalFunc, Tags: tags}}, nil)
		if err != nil {
			panic(err)
		}
		raw, err := b.Marshal(nil, nil)
		if err != nil {
			panic(err)
		}
		spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
		if err != nil {
			panic(err)
		}
		var found *btf.Func
		err = spec.TypeByName("bpf_xdp_metadata_rx_hash", &found)
		fmt.Printf("tags %v: %v\n", tags, err)
	}
}
G
go mod tidy >/dev/null 2>&1
for arch in amd64 386; do
	echo "$arch:"
	CGO_ENABLED=0 GOARCH=$arch go run .
done | tee seen
diff - seen <<'S'
amd64:
tags []: <nil>
tags [bpf_kfunc]: <nil>
386:
tags []: <nil>
tags [bpf_kfunc]: type id 3: index exceeds int
S
