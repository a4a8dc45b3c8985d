package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An Endpoint answers over HTTP with the metrics of a run. A client can't hold
// up the capture: it is served on goroutines of its own, from counters that the
// reader adds to without waiting, and for a bounded time.
type Endpoint struct {
	listener net.Listener
	ctx      context.Context // done when the run has ended
	end      func()
	slots    chan struct{} // as many as there may be connections
	group    sync.WaitGroup

	mu      sync.Mutex // held while the metrics are collected: one answer at a time
	metrics *Meter     // nil before and after the run
}

// Bounds on what clients may take.
const (
	patience       = time.Second     // for a request: a client without one gives its place up
	timeout        = 5 * time.Second // for the answer to it
	linger         = time.Second     // for the client to close, after that
	maxConnections = 16
)

// Listen takes an address for the metrics, before anything is attached.
func Listen(address string) (*Endpoint, error) {
	listener, err := net.Listen(network(address), address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("metrics: %s is in use by another process: name another address with --metrics", address)
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	e := &Endpoint{listener: listener, slots: make(chan struct{}, maxConnections)}
	e.ctx, e.end = context.WithCancel(context.Background())
	return e, nil
}

// network is tcp4 for an address of IPv4: Go would take 0.0.0.0 for IPv6, too.
func network(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// URL is where the metrics are.
func (e *Endpoint) URL() string { return "http://" + e.listener.Addr().String() + "/metrics" }

// Serve begins to answer.
func (e *Endpoint) Serve(m *Meter) {
	e.mu.Lock()
	e.metrics = m
	e.mu.Unlock()
	e.group.Go(e.accept)
}

// accept takes connections, as long as there are slots for them.
func (e *Endpoint) accept() {
	for {
		select {
		case e.slots <- struct{}{}:
		case <-e.ctx.Done():
			return
		}
		conn, err := e.listener.Accept()
		if err != nil {
			<-e.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of descriptors
			case <-time.After(10 * time.Millisecond):
			case <-e.ctx.Done():
			}
			continue
		}
		e.group.Go(func() {
			defer func() { <-e.slots }()
			e.converse(conn)
		})
	}
}

// converse answers one request.
func (e *Endpoint) converse(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(e.ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(patience))
	answer := respond(conn, e.collect)
	conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write(answer); err != nil {
		return
	}
	// To close now would reset the connection if the client has sent more than
	// was read, and the answer could be lost.
	if tcp, ok := conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		conn.SetDeadline(time.Now().Add(linger))
		io.Copy(io.Discard, conn)
	}
}

// collect returns the metrics.
func (e *Endpoint) collect() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.metrics == nil {
		return nil, errors.New("the run has ended")
	}
	return e.metrics.appendMetrics(nil)
}

// Close ends the answers at once. Nothing of the run is used after it.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	e.metrics = nil
	e.mu.Unlock()
	e.end()
	e.listener.Close() // fails only where it was closed before
	e.group.Wait()
	return nil
}

// ParseAddress reads an address to listen on. A port alone is one on loopback:
// nobody else is let in unasked.
func ParseAddress(s string) (string, error) {
	explain := errors.New("must be a port, which is one of loopback's, or an address and a port: 10937, 192.0.2.1:10937, [::1]:10937, 0.0.0.0:10937")
	host, port := "", s
	if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", explain
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", explain
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
