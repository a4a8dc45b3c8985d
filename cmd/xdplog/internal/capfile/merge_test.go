package capfile

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/wire"
)

// merged reads files as one.
func merged(t *testing.T, by Selection, files ...[]byte) (packets []Packet, found []Interface, counters wire.Counters, err error) {
	t.Helper()
	var all Files
	for n, file := range files {
		f, err := readHeader(fmt.Sprint("f", n), bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		f.in = &input{interrupt: func() {}, regular: n%2 == 0}
		all = append(all, f)
	}
	reading := all.Select(by)
	defer reading.Close()
	for p := range reading.Ready() {
		for _, packet := range p.List {
			packet.Data = bytes.Clone(packet.Data)
			packets = append(packets, packet)
		}
		found = append(found, p.Found...)
		counters = p.Counters
		if p.Err != io.EOF {
			err = p.Err
		}
		reading.Done(p)
	}
	return packets, found, counters, err
}

// numbered is a file with packets of the numbers given, which are their times, too,
// and of two interfaces.
func numbered(name string, numbers ...int) []byte {
	m := newMaker().section(0).iface(linkEthernet, newMaker().option(interfaceName, []byte(name+"0"))).
		iface(linkRaw, newMaker().option(interfaceName, []byte(name+"1")))
	for i, n := range numbers {
		data := append(bytes.Clone(datagram), fmt.Sprint(n)...)
		m.packet(uint32(i%2), uint64(n), data[i%2*14:])
	}
	return m.b
}

func TestMerge(t *testing.T) {
	const files, packets = 5, 20_000
	random := rand.New(rand.NewPCG(1, 2))
	var numbers [files][]int
	names := make([]string, packets) // of their interfaces
	for n := range names {
		i := random.IntN(files)
		names[n] = fmt.Sprintf("eth%d.%d", i, len(numbers[i])%2)
		numbers[i] = append(numbers[i], n)
	}
	var all [][]byte
	for i := range files {
		all = append(all, numbered(fmt.Sprint("eth", i, "."), numbers[i]...))
	}
	got, found, _, err := merged(t, Selection{}, all...)
	if err != nil || len(got) != packets || len(found) != 2*files {
		t.Fatalf("%d packets of %d interfaces, %v", len(got), len(found), err)
	}
	for n, p := range got {
		if want := fmt.Sprint(n); !strings.HasSuffix(string(p.Data), want) || !strings.HasSuffix(string(p.Frame()), want) {
			t.Fatalf("packet %d is %q", n, p.Data)
		}
		if of := found[p.Interface]; of.Name != names[n] || of.Index != int(p.Interface) {
			t.Fatalf("packet %d is of interface %s, want %s", n, of.Name, names[n])
		}
	}

	selected, _, counters, err := merged(t, Selection{By: new(everyThird), Limit: 1000}, all...)
	if err != nil || len(selected) != 1000 || counters.Seen != 3000 || !strings.HasSuffix(string(selected[999].Data), "2999") {
		t.Errorf("%d packets are selected, %+v, %v", len(selected), counters, err)
	}
	_, _, counters, err = merged(t, Selection{By: new(everyThird), Counted: true}, all...)
	if err != nil || counters.Seen != packets || counters.Captured != packets/3 {
		t.Errorf("%+v, %v", counters, err)
	}
}

// TestMergeTies: of the same time, the file that was named first comes first; and what
// is not in order in a file stays as it is.
func TestMergeTies(t *testing.T) {
	got, _, _, err := merged(t, Selection{}, numbered("a", 1, 1, 5), numbered("b", 1, 3, 2))
	var order []string
	for _, p := range got {
		order = append(order, fmt.Sprint(p.Interface, string(p.Data[len(p.Data)-1:])))
	}
	if want := "[01 11 21 33 22 05]"; err != nil || fmt.Sprint(order) != want {
		t.Errorf("%v, want %s; %v", order, want, err)
	}
}

// TestMergeBroken: what the other files have is read all the same.
func TestMergeBroken(t *testing.T) {
	a, b := numbered("a", 1, 2, 3), numbered("b", 1, 2, 3, 4, 5)
	got, _, _, err := merged(t, Selection{}, a[:len(a)-3], b, a[:len(a)-3])
	if len(got) != 2+5+2 || fmt.Sprint(err) != "f0: truncated dump file: it ends in packet 3; f2: truncated dump file: it ends in packet 3" {
		t.Errorf("%d packets, %v", len(got), err)
	}
}
