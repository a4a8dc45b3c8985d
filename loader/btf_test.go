package loader

import (
	"bytes"
	"errors"
	"os"
	"slices"
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
	want := make([]btf.TypeID, len(names))
	for i, name := range names {
		var f *btf.Func
		if spec.TypeByName(name, &f) == nil {
			want[i], _ = spec.TypeID(f)
		}
	}
	raw, err := os.ReadFile(kernelBTF)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := findFunctions(bytes.NewReader(raw), names); err != nil || !slices.Equal(got, want) {
		t.Errorf("numbers %v, %v; want %v", got, err, want)
	}
	if want[1] != 0 || want[2] == 0 {
		t.Errorf("the library finds %v", want)
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
