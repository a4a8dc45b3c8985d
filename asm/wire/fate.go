package wire

import "fmt"

// Direction is the way of a packet through its interface.
type Direction uint8

const (
	NoDirection Direction = iota // not said: all packets go the same way
	In                           // received
	Out                          // sent
)

var directionNames = [...]string{NoDirection: "", In: "in", Out: "out"}

// String is "in" or "out", and "" where nothing is said.
func (d Direction) String() string {
	if int(d) < len(directionNames) {
		return directionNames[d]
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// Verdict is what another XDP program, beside which ours looks on, decided of a
// packet: enum xdp_action (linux/bpf.h) and 1.
type Verdict uint8

const (
	NoVerdict Verdict = iota // there was no other program
	Aborted                  // XDP_ABORTED: dropped, as an error of that program
	Drop                     // XDP_DROP
	Pass                     // XDP_PASS: it goes on to the network stack
	Tx                       // XDP_TX: out of the interface that received it
	Redirect                 // XDP_REDIRECT: to another interface, CPU or socket
)

var verdictNames = [...]string{NoVerdict: "", Aborted: "aborted", Drop: "drop", Pass: "pass", Tx: "tx", Redirect: "redirect"}

// String is the action's name in lower case, and "" where nothing is said.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// ParseVerdict returns the verdict with a name: aborted, drop, pass, tx or redirect.
func ParseVerdict(name string) (Verdict, error) {
	for v := Aborted; int(v) < len(verdictNames); v++ {
		if name == verdictNames[v] {
			return v, nil
		}
	}
	return NoVerdict, fmt.Errorf("unknown verdict %q: aborted, drop, pass, tx or redirect", name)
}
