package ipfix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// stream sends messages over a TCP connection, and makes another one where that ends.
type stream struct {
	exporter *Exporter
	conn     net.Conn // nil: none
	session
	group sync.WaitGroup // of who reads
	away  bool           // it was said that the collector is
	next  time.Time      // not before is another connection tried
	delay time.Duration
}

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	minDelay     = 100 * time.Millisecond
	maxDelay     = 10 * time.Second
)

// tick connects at the start, so that a collector that is away is known at once.
func (s *stream) tick(time.Time) {
	if s.conn == nil && s.next.IsZero() {
		s.connect()
	}
}

// send waits for a connection: the queue holds what comes meanwhile, and counts what it
// can't.
func (s *stream) send(m *message) {
	for {
		if s.conn == nil && !s.connect() {
			s.exporter.over(m, false)
			return
		}
		now := time.Now()
		complete(m.b, now, s.sequence, s.exporter.options.Domain)
		if s.write(m.b) {
			s.sequence += uint32(m.sums.flows)
			s.exporter.over(m, true)
			return
		}
	}
}

// connect begins a session. It reports false where the exporter is to end.
func (s *stream) connect() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	s.group.Go(func() {
		select {
		case <-s.exporter.stop:
			cancel()
		case <-ended:
		}
	})
	defer close(ended)
	dialer := net.Dialer{Timeout: dialTimeout}
	for {
		if wait := time.Until(s.next); wait > 0 {
			select {
			case <-s.exporter.stop:
				return false
			case <-time.After(wait):
			}
		}
		conn, err := dialer.DialContext(ctx, "tcp", s.exporter.options.Target.Address)
		if s.exporter.stopped() {
			if err == nil {
				conn.Close()
			}
			return false
		}
		if err == nil && s.begin(conn) {
			return true
		}
		if err != nil {
			s.gone(err)
		}
	}
}

// begin sends the templates over a new connection.
func (s *stream) begin(conn net.Conn) bool {
	s.conn, s.sequence, s.own = conn, 0, 0
	over := make(chan struct{})
	s.group.Go(func() {
		defer close(over)
		// A collector says nothing. But that it ends, only a reader is told.
		io.Copy(io.Discard, conn)
		conn.Close()
	})
	s.group.Go(func() {
		select {
		case <-s.exporter.stop: // also in the middle of a write
			conn.Close()
		case <-over:
		}
	})
	if !s.teach(s.exporter, time.Now(), s.write) {
		return false
	}
	if s.away {
		s.exporter.options.Say(fmt.Sprintf("the collector %s is back", s.exporter.options.Target))
	}
	s.away, s.delay = false, 0
	return true
}

// write writes a message, or ends the connection.
func (s *stream) write(b []byte) bool {
	s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.conn.Write(b); err != nil {
		s.conn.Close() // who reads ends by that
		s.conn = nil
		s.gone(err)
		return false
	}
	s.exporter.wrote(len(b))
	return true
}

func (s *stream) gone(err error) {
	if !s.away && !s.exporter.stopped() {
		s.exporter.options.Say(fmt.Sprintf("the collector %s does not take flows: %v; tries again", s.exporter.options.Target, cause(err)))
	}
	s.away = true
	s.delay = min(max(2*s.delay, minDelay), maxDelay)
	s.next = time.Now().Add(s.delay)
}

func (s *stream) close() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.group.Wait()
}

// cause is what the system says, without the addresses that package net puts before.
func cause(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return errors.New("it has closed the connection")
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}
