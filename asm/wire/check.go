package wire

import (
	"errors"
	"fmt"
)

// ErrInconsistent is returned for a record that no program of ours writes.
var ErrInconsistent = errors.New("record contradicts itself")

// mapped is the prefix of an IPv4 address in a [Record].
var mapped = [12]byte{10: 0xff, 11: 0xff}

// Check returns an error that wraps [ErrInconsistent] where the fields
// contradict each other, as they do in bytes that are not a record.
func (r *Record) Check() error {
	const ip = FlagIPv4 | FlagIPv6
	// The usual answer first: nothing unusual is set.
	f := r.Flags
	switch {
	case f&^flagsKnown != 0:
		return fmt.Errorf("%w: unknown flags %#x", ErrInconsistent, uint16(f&^flagsKnown))
	case f&ip == ip:
		return fmt.Errorf("%w: both IPv4 and IPv6", ErrInconsistent)
	case f&ip == 0 && f != 0:
		return fmt.Errorf("%w: flags %#x without IP", ErrInconsistent, uint16(f))
	case f&FlagIPv6 == 0 && f&flagsExtension != 0:
		return fmt.Errorf("%w: IPv6 extension headers without IPv6", ErrInconsistent)
	case f&FlagPorts != 0 && f&(FlagFragment|FlagCut) != 0:
		return fmt.Errorf("%w: ports in a later fragment or a cut packet", ErrInconsistent)
	case f&FlagTCP != 0 && f&FlagPorts == 0:
		return fmt.Errorf("%w: TCP flags without ports", ErrInconsistent)
	case f&FlagIPv4 != 0 && ([12]byte(r.Source[:]) != mapped || [12]byte(r.Destination[:]) != mapped):
		return fmt.Errorf("%w: IPv4 address is not v4-mapped", ErrInconsistent)
	case r.Tags() > 2:
		return fmt.Errorf("%w: %d VLAN tags, at most 2 are read", ErrInconsistent, r.Tags())
	case r.Direction() > Out:
		return fmt.Errorf("%w: unknown %v", ErrInconsistent, r.Direction())
	case r.Verdict() > Redirect:
		return fmt.Errorf("%w: unknown %v", ErrInconsistent, r.Verdict())
	}
	return nil
}
