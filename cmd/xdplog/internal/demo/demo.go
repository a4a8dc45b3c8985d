// Package demo is xdplog demo: the command at work, for somebody who has no
// traffic to look at, or no wish to touch an interface yet.
//
// It makes a lab, runs on its receiving end what any run is, and sends traffic
// from the other end meanwhile, saying what it sends: so what is printed can be
// compared. It ends by itself and leaves nothing behind.
//
// It imports run and lab beside it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/lab"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// Run captures in a lab of its own, and plays traffic there meanwhile. Where
// packets come from is not for the options to say.
func Run(opts run.Options, env run.Environment) error {
	say := func(format string, args ...any) {
		if !opts.Quiet {
			fmt.Fprintf(env.Stderr, format+"\n", args...)
		}
	}
	l, err := lab.New()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer l.Close()
	say("two network namespaces, joined by a veth pair")

	opts.Interfaces = []string{lab.ReceiverName}
	opts.Netns = l.Receiver.Path()
	c, err := run.Open(opts, env)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer c.Close()
	c.Greet()

	ctx, end := context.WithCancel(context.Background())
	var played error
	var group sync.WaitGroup
	group.Go(func() {
		defer end()
		if err := play(ctx, l, say); err != nil && ctx.Err() == nil {
			played = fmt.Errorf("demo: %w", err)
		}
	})
	err = c.Run(ctx)
	end()
	group.Wait()
	return run.OneOf(err, played)
}

// Where the traffic goes: the ports of DNS and HTTP.
const (
	udpPort = 53
	tcpPort = 80
)

// pause is between the parts of the demo, for the eye.
const pause = 400 * time.Millisecond

// play sends traffic from one namespace to the other, saying what it does. It
// returns early when ctx is done.
func play(ctx context.Context, l *lab.Lab, say func(string, ...any)) error {
	if err := l.WaitUp(ctx); err != nil {
		return err
	}
	for _, at := range l.Addresses {
		stop, err := serve(ctx, l, at.Receiver)
		if err != nil {
			return err
		}
		defer stop()
	}
	return l.Sender.Do(func() error {
		for _, at := range l.Addresses {
			version := "IPv6"
			if at.Receiver.Is4() {
				version = "IPv4"
			}
			if ctx.Err() != nil {
				return nil // it was interrupted
			}
			say("UDP over %s: two datagrams to %s", version, netip.AddrPortFrom(at.Receiver, udpPort))
			if err := send(ctx, "udp", at.Receiver, udpPort, "one", "two"); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
			say("TCP over %s: connect to %s, send a line, close", version, netip.AddrPortFrom(at.Receiver, tcpPort))
			if err := send(ctx, "tcp", at.Receiver, tcpPort, "GET / HTTP/1.0\r\n\r\n"); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve takes what comes to an address in the receiving namespace, until stop
// is called.
func serve(ctx context.Context, l *lab.Lab, at netip.Addr) (stop func(), err error) {
	var packets net.PacketConn
	var listener net.Listener
	err = l.Receiver.Do(func() error {
		var config net.ListenConfig
		if packets, err = config.ListenPacket(ctx, "udp", netip.AddrPortFrom(at, udpPort).String()); err != nil {
			return err
		}
		if listener, err = config.Listen(ctx, "tcp", netip.AddrPortFrom(at, tcpPort).String()); err != nil {
			packets.Close()
		}
		return err
	})
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: ports below 1024 take CAP_NET_BIND_SERVICE: run as root", err)
	}
	if err != nil {
		return nil, err
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(pause))
			drain(conn)
			conn.Close()
		}
	})
	return func() {
		packets.Close()
		listener.Close()
		group.Wait()
	}, nil
}

// send connects, sends messages, closes, and then pauses.
func send(ctx context.Context, network string, to netip.Addr, port uint16, messages ...string) error {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, network, netip.AddrPortFrom(to, port).String())
	if err != nil {
		return err
	}
	defer func() {
		conn.Close()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}()
	for _, message := range messages {
		if _, err := conn.Write([]byte(message)); err != nil {
			return err
		}
	}
	return nil
}

func drain(conn net.Conn) {
	var b [512]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}
