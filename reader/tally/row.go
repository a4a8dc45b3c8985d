package tally

import "time"

// A Sum is packets, and the bytes of their whole frames.
type Sum struct{ Packets, Bytes uint64 }

// Add adds another sum to s.
func (s *Sum) Add(other Sum) {
	s.Packets += other.Packets
	s.Bytes += other.Bytes
}

// A Row is what was counted of one key.
type Row struct {
	Key
	Sum // of a conversation: from its first end to the second

	Back     Sum  // of a conversation: the other way
	Reversed bool // of a conversation: the first packet went that way

	First, Last time.Time // of its packets; zero where there is no clock

	TCPFlags, BackTCPFlags uint8 // all that were seen, either way
}

// Total is the row's packets and bytes, both ways.
func (r *Row) Total() Sum {
	sum := r.Sum
	sum.Add(r.Back)
	return sum
}

// AppendTo appends the row's key in words. A conversation is that of whoever began it.
func (r *Row) AppendTo(b []byte, by By) []byte {
	if by == Conversation {
		return r.appendConversation(b, r.Reversed)
	}
	return r.Key.AppendTo(b, by)
}

// merge adds what another row of the same key has counted.
func (r *Row) merge(other *Row) {
	r.Sum.Add(other.Sum)
	r.Back.Add(other.Back)
	if before(other.First, r.First) {
		r.First, r.Reversed = other.First, other.Reversed
	}
	if other.Last.After(r.Last) {
		r.Last = other.Last
	}
	r.TCPFlags |= other.TCPFlags
	r.BackTCPFlags |= other.BackTCPFlags
}

// before reports whether a is a time before b; the zero time is none.
func before(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// A Feed is where counts come from.
type Feed interface {
	// Read returns what was counted since it was last called, a row for each
	// key and what found none, and forgets it. The rows are valid until the next
	// call.
	Read() (rows []Row, other Sum, err error)
}
