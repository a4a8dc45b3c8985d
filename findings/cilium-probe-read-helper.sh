#!/usr/bin/env bash
# Of bpf_probe_read_kernel and bpf_probe_read_user, a question for what the kernel has is not answered where it has none.
#
# Version: github.com/cilium/ebpf v0.22.0 (package features). Expected: HaveProgramHelper says ErrNotSupported where a type of program has no
# such helper for who asks, as it does of bpf_probe_read. Seen: before the question is put to the kernel, the helper becomes bpf_probe_read, as for
# kernels before 5.5; the kernel's answer names that, number 4, where number 113 is looked for, and is handed on as an inconclusive error. So
# also under lockdown in confidentiality mode, of programs that trace, which have none of the three there.
#
# It needs root, to become nobody with CAP_BPF alone, from whom these helpers are kept.
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
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

func main() {
	for _, helper := range []asm.BuiltinFunc{asm.FnProbeRead, asm.FnProbeReadKernel, asm.FnProbeReadUser} {
		err := features.HaveProgramHelper(ebpf.SocketFilter, helper)
		switch {
		case err == nil:
			fmt.Println(helper, "is there")
		case errors.Is(err, ebpf.ErrNotSupported):
			fmt.Println(helper, "is not supported")
		default:
			fmt.Println(helper, "is anybody's guess")
		}
	}
}
G
go mod tidy >/dev/null 2>&1
CGO_ENABLED=0 go build -o ask .
chmod 755 . ask
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +bpf --ambient-caps +bpf ./ask | tee seen
diff - seen <<'S'
FnProbeRead is not supported
FnProbeReadKernel is anybody's guess
FnProbeReadUser is anybody's guess
S
