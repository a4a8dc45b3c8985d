package run

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
)

// Keep is how much a flight recorder keeps: of the last packets so many bytes, or those of
// so long, as far as [DefaultKeep] has room for them. The zero value keeps nothing.
type Keep struct {
	Bytes int
	Time  time.Duration
}

// DefaultKeep is how many bytes are kept where it is told how long.
const DefaultKeep = 64 << 20

func (k Keep) String() string {
	switch {
	case k.Time > 0:
		return k.Time.String()
	case k.Bytes > 0:
		return fmt.Sprint(k.Bytes)
	}
	return ""
}

// ring is the size of each CPU's ring: all together have no more than is to be kept.
func (k Keep) ring() (int, error) {
	total := k.Bytes
	if total == 0 {
		total = DefaultKeep
	}
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("count the CPUs: %w", err)
	}
	each := total / possible
	if each < asm.MinBuffer {
		return 0, fmt.Errorf("to keep %d bytes is too little for %d CPUs: take %d or more", total, possible, possible*asm.MinBuffer)
	}
	return min(1<<(bits.Len(uint(each))-1), asm.MaxBuffer/2), nil
}

// binarySize is a number of bytes in the largest unit of which there is one.
func binarySize(bytes int) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%.4g MiB", float64(bytes)/(1<<20))
}

// keeping has the program's rings be as large as is to be kept.
func (o *Options) keeping() (err error) {
	if o.Program.Keep {
		o.Program.Buffer, err = o.Keep.ring()
	}
	return err
}
