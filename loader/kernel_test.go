package loader

import (
	"errors"
	"testing"
)

func TestKernel(t *testing.T) {
	k, err := Kernel()
	if errors.Is(err, ErrNoBTF) {
		t.Skip("this kernel lacks BTF: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if k.Data != 0 || k.DataEnd != 8 || k.RXQ == 0 || k.HardStart == 0 || k.Index == 0 {
		t.Errorf("%+v", k)
	}
	t.Logf("%+v", k)
}
