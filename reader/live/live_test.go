package live

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/loader"
	"github.com/xdplog/xdplog/reader"
)

func open(t testing.TB, opts Options) *Capture {
	t.Helper()
	c, err := Open(opts)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// on is the capture of v0.
func (l *lab) on(config asm.Config) Options {
	return Options{Interfaces: []string{"v0"}, Namespace: l.name, Config: config}
}

// TestAllDeliversWhatWasCaptured ends a capture while packets wait.
func TestAllDeliversWhatWasCaptured(t *testing.T) {
	for _, transport := range []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap} {
		t.Run(transport.String(), func(t *testing.T) {
			lab := newLab(t)
			c := open(t, lab.on(asm.Config{Transport: transport, Buffer: 64 << 10}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			const sent = 100
			lab.send(t, sent)
			time.AfterFunc(100*time.Millisecond, cancel)
			events := 0
			for event, err := range c.All(ctx) {
				must(t, err)
				if events++; int(event.Source.Port()) != events {
					t.Fatalf("event %d is of port %d", events, event.Source.Port())
				}
			}
			counters, err := c.Counters()
			must(t, err)
			if counters.Captured != sent || events != sent {
				t.Errorf("%d captured and %d delivered, want %d", counters.Captured, events, sent)
			}
			lab.bare(t)
			must(t, c.Close())
			must(t, c.Close())
		})
	}
}

// TestLostInterface ends every wait with the error of the interface's loss.
func TestLostInterface(t *testing.T) {
	for name, wait := range map[string]func(*Capture) error{
		"All": func(c *Capture) error {
			var last error
			for _, err := range c.All(context.Background()) {
				last = err
			}
			return last
		},
		"Read": func(c *Capture) error {
			_, err := c.Read(make([]reader.Event, 8))
			return err
		},
		"ReadPackets": func(c *Capture) error {
			_, err := c.ReadPackets(make([]reader.Packet, 8))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t)
			c := open(t, lab.on(asm.Config{}))
			var group sync.WaitGroup
			defer group.Wait()
			group.Go(func() {
				time.Sleep(50 * time.Millisecond) // so that the read most likely waits; it need not
				if err := lab.delete(); err != nil {
					t.Error(err)
				}
			})
			for range 2 { // it stays so
				if err := wait(c); !errors.Is(err, loader.ErrGone) {
					t.Errorf("it ends with %v, want the loss of v0", err)
				}
			}
			if err := c.Close(); !errors.Is(err, loader.ErrGone) {
				t.Errorf("Close returns %v, want the loss of v0", err)
			}
		})
	}
}

// TestLostEndsAll takes the program off the interface that is left, too.
func TestLostEndsAll(t *testing.T) {
	lab := newLab(t)
	must(t, lab.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v2"}, PeerName: "v3"}))
	c := open(t, Options{Interfaces: []string{"v0", "v2", "v1"}, Namespace: lab.name})
	if all := c.Attachments(); len(all) != 3 || all[1].Interface() != "v2" || all[1].Index() == 0 {
		t.Fatalf("the attachments are %v", all)
	}
	must(t, lab.handle.LinkDel(lab.link(t, "v2")))
	if _, err := c.Read(make([]reader.Event, 1)); !errors.Is(err, loader.ErrGone) {
		t.Errorf("it ends with %v, want the loss of v2", err)
	}
	lab.bare(t)
}

// TestLoopLeft: neither a break nor a panic leaves the program on.
func TestLoopLeft(t *testing.T) {
	lab := newLab(t)
	for name, leave := range map[string]func(*Capture){
		"break": func(c *Capture) {
			for range c.All(context.Background()) {
				break
			}
		},
		"panic": func(c *Capture) {
			defer func() { recover() }()
			for range c.All(context.Background()) {
				panic("in the loop")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, lab.on(asm.Config{}))
			lab.send(t, 1)
			leave(c)
			lab.bare(t)
			must(t, c.Close())
		})
	}
}

// TestOpenAllOrNone leaves nothing where one interface is not to be had.
func TestOpenAllOrNone(t *testing.T) {
	lab := newLab(t)
	goroutines := runtime.NumGoroutine()
	for _, second := range []string{"nosuch0", "v0", ""} {
		_, err := Open(Options{Interfaces: []string{"v0", second}, Namespace: lab.name})
		var watched *loader.WatchedError
		if !errors.Is(err, loader.ErrNoInterface) && !errors.As(err, &watched) {
			t.Errorf("Open = %v with %q", err, second)
		}
		lab.bare(t)
	}
	if _, err := Open(Options{Namespace: lab.name}); !errors.Is(err, loader.ErrNoDefaultRoute) {
		t.Errorf("Open = %v without an interface and a default route", err)
	}
	// One that has said that it is done may not have ended yet.
	for end := time.Now().Add(time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), goroutines)
		}
	}
}

// TestDefaultInterface is that of the default route.
func TestDefaultInterface(t *testing.T) {
	lab := newLab(t)
	v0 := lab.link(t, "v0")
	everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	must(t, lab.handle.RouteAdd(&netlink.Route{LinkIndex: v0.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: everywhere}))
	c := open(t, Options{Namespace: lab.name})
	if a := c.Attachments(); len(a) != 1 || a[0].Interface() != "v0" {
		t.Errorf("it is attached to %v", a)
	}
}

// TestCloseDuringRead ends a read that waits, and what comes later.
// TestTunnel: an interface whose packets have no Ethernet header is looked at in tc.
func TestTunnel(t *testing.T) {
	lab := newLab(t)
	made := make(chan error)
	go func() {
		made <- loader.Within(lab.name, func() error {
			return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN})
		})
	}()
	if err := <-made; err != nil {
		t.Skipf("this kernel lacks tun devices: %v", err)
	}
	c, err := Open(Options{Interfaces: []string{"v0", "tun0"}, Namespace: lab.name, Config: asm.Config{Places: []asm.Place{asm.XDP, asm.TCIngress}}})
	must(t, err)
	must(t, c.Close())
	if _, err := Open(Options{Interfaces: []string{"tun0"}, Namespace: lab.name}); !errors.Is(err, loader.ErrNotEthernet) {
		t.Errorf("in XDP: %v, want %v", err, loader.ErrNotEthernet)
	}
}

func TestCloseDuringRead(t *testing.T) {
	lab := newLab(t)
	for range 20 {
		c := open(t, lab.on(asm.Config{}))
		ended := make(chan error)
		go func() {
			for {
				if _, err := c.Read(make([]reader.Event, 8)); err != nil {
					ended <- err
					return
				}
			}
		}()
		must(t, c.Close())
		if err := <-ended; !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.EOF) {
			t.Fatalf("Read = %v", err)
		}
		if _, err := c.Counters(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Counters = %v after Close", err)
		}
	}
	lab.bare(t)
}

// TestFinish lets reads end where there was nothing wrong.
func TestFinish(t *testing.T) {
	lab := newLab(t)
	c := open(t, lab.on(asm.Config{SnapLen: 96}))
	lab.send(t, 1)
	must(t, c.Finish())
	packets := make([]reader.Packet, 8)
	n, err := c.ReadPackets(packets)
	must(t, err)
	if n != 1 || len(packets[0].Data) != len(datagram(1)) {
		t.Errorf("%d packets, the first of %d bytes", n, len(packets[0].Data))
	}
	if n, err := c.ReadPackets(packets); n != 0 || err != io.EOF {
		t.Errorf("ReadPackets = %d, %v, want the end", n, err)
	}
}

// TestZeroValue answers with an error.
func TestZeroValue(t *testing.T) {
	c := new(Capture)
	_, read := c.Read(make([]reader.Event, 1))
	_, packets := c.ReadPackets(make([]reader.Packet, 1))
	_, counters := c.Counters()
	for name, err := range map[string]error{"Read": read, "ReadPackets": packets, "Counters": counters, "Finish": c.Finish(), "Close": c.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s = %v, want os.ErrClosed", name, err)
		}
	}
	for range c.All(context.Background()) {
		t.Error("an event")
	}
	if c.Attachments() != nil {
		t.Error("it has attachments")
	}
}

// TestCountersOf: each interface has counters of its own, and events say by number
// which one it was.
func TestCountersOf(t *testing.T) {
	lab := newLab(t)
	c := open(t, Options{Interfaces: []string{"v1", "v0"}, Namespace: lab.name})
	const sent = 5
	lab.send(t, sent) // from v1 to v0
	c.SetDeadline(time.Now().Add(10 * time.Second))
	events := make([]reader.Event, 8)
	for read := 0; read < sent; {
		n, err := c.Read(events)
		must(t, err)
		for _, event := range events[:n] {
			if event.Slot != 1 {
				t.Errorf("event of interface %d, want 1", event.Slot)
			}
		}
		read += n
	}
	for slot, want := range []uint64{0, sent} {
		counters, err := c.CountersOf(uint8(slot))
		must(t, err)
		if counters.Matched() != want {
			t.Errorf("interface %d matched %d packets, want %d", slot, counters.Matched(), want)
		}
	}
}

// TestPlaces has each interface at its own place: what one sends, the other receives.
func TestPlaces(t *testing.T) {
	lab := newLab(t)
	c := open(t, Options{
		Interfaces: []string{"v1", "v0"}, Namespace: lab.name,
		Config: asm.Config{Places: []asm.Place{asm.TCEgress, asm.XDP}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const sent = 10
	lab.send(t, sent)
	time.AfterFunc(100*time.Millisecond, cancel)
	seen := map[wire.Direction]int{}
	for event, err := range c.All(ctx) {
		must(t, err)
		seen[event.Direction]++
	}
	if seen[wire.Out] != sent || seen[wire.In] != sent {
		t.Errorf("%v events, want %d each way", seen, sent)
	}
	for slot := range uint8(2) {
		if counters, err := c.CountersOf(slot); err != nil || counters.Captured != sent {
			t.Errorf("program %d: %+v, %v", slot, counters, err)
		}
	}
	must(t, c.Close())
	lab.bare(t)
}
