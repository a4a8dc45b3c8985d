package ipfix

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// A session is what a collector knows of an exporter: templates, and how many records were
// sent.
type session struct {
	sequence uint32 // of flows, in their domain
	own      uint32 // of what the exporter says of itself, in domain 0
	b        []byte
}

// teach sends what begins a session, and is sent again over UDP: the templates of flows, and
// in domain 0, which stands for the whole exporter (RFC 7011, 3.1), its own template and sums.
// These are of another domain also because nfdump does not count them in sequence numbers.
func (s *session) teach(e *Exporter, now time.Time, write func([]byte) bool) bool {
	s.b = appendTemplates(append(s.b[:0], make([]byte, headerLength)...))
	complete(s.b, now, s.sequence, e.options.Domain)
	if !write(s.b) {
		return false
	}
	s.b = appendStatsTemplate(append(s.b[:0], make([]byte, headerLength)...))
	e.mu.Lock()
	s.b = appendStats(s.b, uint32(os.Getpid()), e.messages, e.bytes, e.sent, e.notSent)
	e.mu.Unlock()
	complete(s.b, now, s.own, 0)
	if !write(s.b) {
		return false
	}
	s.own++
	return true
}

// isRefused reports that nobody listens there, of which we were told by ICMP.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
