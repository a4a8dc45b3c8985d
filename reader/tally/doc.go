// Package tally is who sends, and how much: packets and bytes, counted by a key.
//
// A busy interface has millions of packets a second and some have hundreds of
// thousands of sources, so a [Table] has a bound, and nothing that is counted may
// get lost at it: what finds no row is counted as other. What always holds: the
// rows of a table and its other are together its total, in packets and in bytes.
//
// Counts may come from the kernel, or of events one by one; a [Feed] gives both
// alike, as rows of what was counted since it was last read.
//
// It imports asm/wire and words.
package tally

import (
	"fmt"
	"strings"
)

// By is what packets are told apart by.
type By uint8

// What there is to count by, in the order of [wire.CountBy].
const (
	Source       By = iota // source address
	Pair                   // source and destination address
	Conversation           // addresses, ports, protocol and VLANs, both directions as one
	Port                   // destination port, and protocol
	VLAN                   // VLAN ids
	MAC                    // source MAC address
	Protocol               // IP protocol; of what is not IP the EtherType
	Prefix                 // source network: /24 of IPv4, /48 of IPv6
	Verdict                // what another XDP program decided

	bys // how many there are
)

var byNames = [bys]string{"src", "pair", "conversation", "port", "vlan", "mac", "proto", "prefix", "verdict"}

// aliases are names by which others call the same.
var aliases = map[string]By{
	"source": Source, "src,dst": Pair, "flow": Conversation, "dport": Port,
	"ether": MAC, "protocol": Protocol, "net": Prefix,
}

// String is the name of b.
func (b By) String() string {
	if b < bys {
		return byNames[b]
	}
	return fmt.Sprintf("By(%d)", uint8(b))
}

// Bys are all that there is to count by.
func Bys() []By {
	all := make([]By, bys)
	for i := range all {
		all[i] = By(i)
	}
	return all
}

// ParseBy is the inverse of [By.String]. Its error says which names there are.
func ParseBy(s string) (By, error) {
	for i, name := range byNames {
		if s == name {
			return By(i), nil
		}
	}
	if b, ok := aliases[s]; ok {
		return b, nil
	}
	return 0, fmt.Errorf("unknown key %q: one of %s", s, strings.Join(byNames[:], ", "))
}
