package check

import "strings"

// XDP features that are named by more than their place in featureWords: enum
// netdev_xdp_act.
const (
	basicXDP     = 1 << 0 // the driver runs programs
	receiveFrags = 1 << 5 // packets of more than one buffer
)

var featureWords = [...]string{"basic", "redirect", "transmit", "zero-copy", "offload", "frags", "transmit frags"}

func featureNames(features uint64) string {
	var names []string
	for bit, word := range featureWords {
		if features&(1<<bit) != 0 {
			names = append(names, word)
		}
	}
	return strings.Join(names, ", ")
}
