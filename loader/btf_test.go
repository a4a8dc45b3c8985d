package loader

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// TestFindFunctions: functions have the numbers that the library finds.
func TestFindFunctions(t *testing.T) {
	spec, err := kernelTypes()
	if err != nil {
		t.Skipf("this kernel lacks BTF: %v", err)
	}
	names := []string{"dev_xdp_attach", "no_such_function", "netif_receive_skb", "bpf_xdp_metadata_rx_vlan_tag"}
	raw, err := os.ReadFile(kernelBTF)
	if err != nil {
		t.Fatal(err)
	}
	got, err := findFunctions(bytes.NewReader(raw), names)
	if err != nil || got[1] != 0 || got[2] == 0 {
		t.Fatalf("numbers %v, %v", got, err)
	}
	for i, name := range names {
		var f *btf.Func
		var want btf.TypeID
		if err := spec.TypeByName(name, &f); err == nil {
			want, _ = spec.TypeID(f)
		} else if !errors.Is(err, btf.ErrNotFound) {
			t.Logf("the library does not read it: %v", err) // with 32 bits no function that has tags, as all kfuncs
			continue
		}
		if got[i] != want {
			t.Errorf("%s has number %d, want %d", name, got[i], want)
		}
	}
	for _, length := range []int{0, 3, 24, 1000, len(raw) / 8} {
		if ids, err := findFunctions(bytes.NewReader(raw[:length]), names[2:]); err != nil && !errors.Is(err, errUnknownBTF) || err == nil && ids[0] != 0 {
			t.Errorf("of %d bytes: %v, %v", length, ids, err)
		}
	}
}

func BenchmarkFindFunctions(b *testing.B) {
	for b.Loop() {
		kernelFunctions("bpf_xdp_metadata_rx_vlan_tag", "bpf_xdp_metadata_rx_timestamp")
	}
}
