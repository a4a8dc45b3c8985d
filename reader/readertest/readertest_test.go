package readertest_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/reader"
	"github.com/xdplog/xdplog/reader/readertest"
)

// datagram is UDP over IPv4 from 192.0.2.1:1000 to 192.0.2.2:53, in a frame.
var datagram = []byte{
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00,
	0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
	0x03, 0xe8, 0, 53, 0, 8, 0, 0,
}

func TestEvent(t *testing.T) {
	want := reader.Event{
		Length: 60, EtherType: 0x0800, IPVersion: 4, Protocol: 17, TTL: 64, HasPorts: true,
		Source: netip.MustParseAddrPort("192.0.2.1:1000"), Destination: netip.MustParseAddrPort("192.0.2.2:53"),
	}
	if got := readertest.Event(datagram, 60); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := readertest.Event(datagram[:30], 1<<20); got != (reader.Event{Length: 1 << 20, EtherType: 0x0800}) {
		t.Errorf("a frame that is cut: %+v", got)
	}
	if got := readertest.Event(nil, 0); got != (reader.Event{}) {
		t.Errorf("nothing: %+v", got)
	}
}

// TestSameMethods: what takes a reader's methods takes these.
func TestSameMethods(t *testing.T) {
	real, fake := reflect.TypeFor[*reader.Reader](), reflect.TypeFor[*readertest.Reader]()
	for i := range real.NumMethod() {
		method := real.Method(i)
		same, ok := fake.MethodByName(method.Name)
		if !ok {
			t.Errorf("it has no %s", method.Name)
			continue
		}
		for in := 1; in < max(method.Type.NumIn(), same.Type.NumIn()); in++ {
			if method.Type.NumIn() != same.Type.NumIn() || method.Type.In(in) != same.Type.In(in) {
				t.Errorf("%s is %v, want as %v", method.Name, same.Type, method.Type)
				break
			}
		}
		if method.Type.NumOut() != same.Type.NumOut() {
			t.Errorf("%s is %v, want as %v", method.Name, same.Type, method.Type)
			continue
		}
		for out := range method.Type.NumOut() {
			if method.Type.Out(out) != same.Type.Out(out) {
				t.Errorf("%s is %v, want as %v", method.Name, same.Type, method.Type)
			}
		}
	}
}

func TestReader(t *testing.T) {
	first, second := readertest.Event(datagram, 60), readertest.Event(datagram, 61)
	second.Slot = 1
	r := readertest.New(first)
	events := make([]reader.Event, 8)
	if n, err := r.Read(events); n != 1 || err != nil || events[0] != first {
		t.Fatalf("%d events, %v: %v", n, err, events[0])
	}

	r.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := r.Read(events); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d events, %v; want %v", n, err, os.ErrDeadlineExceeded)
	}
	r.SetDeadline(time.Time{})

	go r.CapturePackets(reader.Packet{Event: second, Data: datagram}) // while it is read
	packets := make([]reader.Packet, 8)
	if n, err := r.ReadPackets(packets); n != 1 || err != nil || packets[0].Event != second || len(packets[0].Data) != len(datagram) {
		t.Fatalf("%d packets, %v: %+v", n, err, packets[0])
	}

	r.Count(1, wire.Counters{Seen: 3, Lost: 3})
	all, _ := r.Counters()
	one, _ := r.CountersOf(1)
	if all != (wire.Counters{Seen: 5, Captured: 2, Lost: 3, CapturedBytes: 121}) || one != (wire.Counters{Seen: 4, Captured: 1, Lost: 3, CapturedBytes: 61}) {
		t.Errorf("all count %+v, the second program %+v", all, one)
	}

	r.Capture(first, second, first)
	for event := range r.All(context.Background()) {
		if event != first {
			t.Errorf("%v", event)
		}
		break // and go on behind it
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rest := 0
	for _, err := range r.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		rest++
	}
	if _, err := r.Read(events); rest != 2 || err != io.EOF {
		t.Errorf("%d events, %v; want 2 and then %v", rest, err, io.EOF)
	}
}

func TestReaderEnds(t *testing.T) {
	fault := errors.New("no such luck")
	r := readertest.New(reader.Event{})
	r.Fail(fault)
	var errs []error
	for _, err := range r.All(context.Background()) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] != fault {
		t.Errorf("%v", errs)
	}

	var closed readertest.Reader
	time.AfterFunc(time.Millisecond, func() { closed.Close() })
	if _, err := closed.Read(make([]reader.Event, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, want %v", err, os.ErrClosed)
	}
}
