package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

const demoLong = `Shows xdplog at work, without any traffic of this machine's: makes two network
namespaces joined by a veth pair, sends UDP and TCP over IPv4 and IPv6 from one
to the other, and prints what XDP sees of it. It ends by itself and leaves
nothing behind. It needs root.`

func demoCommand(env run.Environment) *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use:   "demo [-o FORMAT]",
		Short: "show it at work, on traffic of its own",
		Long:  demoLong,
		Args:  noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.checkStyle(cmd.Flags()); err != nil {
				return err
			}
			return demo(opts, env)
		},
	}
	opts.addOutput(cmd)
	opts.addMode(cmd)
	opts.addStyle(cmd)
	opts.addQuiet(cmd.Flags())
	return cmd
}

// demo captures in a lab of its own, and plays traffic there meanwhile.
func demo(opts options, env run.Environment) error {
	say := func(format string, args ...any) {
		if !opts.quiet {
			fmt.Fprintf(env.Stderr, format+"\n", args...)
		}
	}
	l, err := newLab()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer l.close()
	say("two network namespaces, joined by a veth pair")

	opts.interfaces = []string{receiverName}
	opts.netns = l.receiver.path()
	c, err := run.Open(opts.run(asm.Config{}), env)
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
		if err := l.play(ctx, say); err != nil && ctx.Err() == nil {
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
func (l *lab) play(ctx context.Context, say func(string, ...any)) error {
	if err := l.waitUp(ctx); err != nil {
		return err
	}
	for _, at := range l.addresses {
		stop, err := l.serve(ctx, at.receiver)
		if err != nil {
			return err
		}
		defer stop()
	}
	return l.sender.do(func() error {
		for _, at := range l.addresses {
			version := "IPv6"
			if at.receiver.Is4() {
				version = "IPv4"
			}
			if ctx.Err() != nil {
				return nil // it was interrupted
			}
			say("UDP over %s: two datagrams to %s", version, netip.AddrPortFrom(at.receiver, udpPort))
			if err := send(ctx, "udp", at.receiver, udpPort, "one", "two"); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
			say("TCP over %s: connect to %s, send a line, close", version, netip.AddrPortFrom(at.receiver, tcpPort))
			if err := send(ctx, "tcp", at.receiver, tcpPort, "GET / HTTP/1.0\r\n\r\n"); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve takes what comes to an address in the receiving namespace, until stop
// is called.
func (l *lab) serve(ctx context.Context, at netip.Addr) (stop func(), err error) {
	var packets net.PacketConn
	var listener net.Listener
	err = l.receiver.do(func() error {
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
		sleep(ctx, pause)
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

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
