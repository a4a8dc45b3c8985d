package tally

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
)

// random is a row of one of so many keys.
func random(r *rand.Rand, keys int) Row {
	row := Row{Key: Key{Source: netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(keys))})}}
	row.Sum = Sum{r.Uint64N(3), r.Uint64N(5000)}
	row.Back = Sum{r.Uint64N(3), r.Uint64N(5000)}
	row.First = time.Unix(r.Int64N(1000), 0)
	row.Last = row.First.Add(time.Duration(r.IntN(1000)))
	row.Reversed = r.IntN(2) == 0
	row.TCPFlags, row.BackTCPFlags = uint8(r.UintN(256)), uint8(r.UintN(256))
	return row
}

// TestTable: whatever is counted, the rows and other are the total, and each row is
// exactly what was counted of its key.
func TestTable(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := 1 + r.IntN(40)
		table := Table{Rows: 1 + r.IntN(30)}
		for range 3 { // it is used again
			var total, other Sum
			want := make(map[Key]Row)
			for range r.IntN(200) {
				if r.IntN(10) == 0 {
					sum := Sum{r.Uint64N(9), r.Uint64N(9000)}
					total.Add(sum)
					other.Add(sum)
					table.AddOther(sum)
					continue
				}
				row := random(r, keys)
				total.Add(row.Total())
				was, ok := want[row.Key]
				switch {
				case !ok && len(want) == table.Rows:
					other.Add(row.Total())
				case !ok:
					want[row.Key] = row
				default:
					was.Sum.Add(row.Sum)
					was.Back.Add(row.Back)
					if row.First.Before(was.First) {
						was.First, was.Reversed = row.First, row.Reversed
					}
					if row.Last.After(was.Last) {
						was.Last = row.Last
					}
					was.TCPFlags |= row.TCPFlags
					was.BackTCPFlags |= row.BackTCPFlags
					want[row.Key] = was
				}
				table.Add(&row)
			}
			if table.Total() != total || table.Other() != other || len(table.All()) != len(want) {
				t.Fatalf("seed %d: total %v, other %v of %d rows, want %v, %v, %d", seed, table.Total(), table.Other(), len(table.All()), total, other, len(want))
			}
			for key, row := range want {
				if got := table.Row(&key); got == nil || *got != row {
					t.Fatalf("seed %d: row %+v, want %+v", seed, got, row)
				}
			}
			for _, n := range []int{0, 1, 3, 1000} {
				rows, rest := table.Top(n, Order(r.IntN(2)))
				for i := range rows {
					rest.Add(rows[i].Total())
				}
				if rest != total {
					t.Fatalf("seed %d: the first %d rows and other are %v, want %v", seed, n, rest, total)
				}
			}
			table.Reset()
		}
	}
}

// TestTop: the first rows are those that sorting all of them would give.
func TestTop(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rows := make([]Row, r.IntN(60))
		for i := range rows {
			rows[i] = random(r, 200)
		}
		before := slices.Clone(rows)
		for _, order := range []Order{MostPackets, MostBytes} {
			sorted := slices.Clone(rows)
			slices.SortFunc(sorted, func(a, b Row) int { return order.compare(&a, &b) })
			for _, n := range []int{0, 1, 2, 10, len(rows), len(rows) + 1} {
				want := sorted
				if n > 0 && n < len(want) {
					want = want[:n]
				}
				got := Top(rows, n, order)
				equal := slices.EqualFunc(got, want, func(a, b Row) bool { return order.compare(&a, &b) == 0 })
				if !equal {
					t.Fatalf("top %d of %d rows:\n%v\nwant\n%v", n, len(rows), got, want)
				}
			}
		}
		if !slices.Equal(rows, before) {
			t.Fatal("the rows have changed places")
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	table := Table{Rows: 20}
	rows := make([]Row, 1000)
	for i := range rows {
		rows[i] = random(r, 40)
	}
	all := func() {
		for i := range rows {
			table.Add(&rows[i])
		}
		table.Reset()
	}
	all()
	if n := testing.AllocsPerRun(20, all); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseBy(t *testing.T) {
	for _, by := range Bys() {
		if got, err := ParseBy(by.String()); got != by || err != nil {
			t.Errorf("ParseBy(%q) is %v, %v", by, got, err)
		}
	}
	for alias, want := range map[string]By{"src,dst": Pair, "flow": Conversation, "dport": Port, "net": Prefix} {
		if got, err := ParseBy(alias); got != want || err != nil {
			t.Errorf("ParseBy(%q) is %v, %v", alias, got, err)
		}
	}
	_, err := ParseBy("size")
	if want := `unknown key "size": one of src, pair, conversation, port, vlan, mac, proto, prefix, verdict`; fmt.Sprint(err) != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if got := By(77).String(); got != "By(77)" {
		t.Errorf("an unknown key is %q", got)
	}
}

func TestMasked(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "::": "::/48",
	} {
		key := Key{Source: Masked(netip.MustParseAddr(address))}
		if got := string(key.AppendTo(nil, Prefix)); got != want {
			t.Errorf("the network of %s is %s, want %s", address, got, want)
		}
	}
	if Masked(netip.Addr{}).IsValid() {
		t.Error("what has no address has a network")
	}
}

func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var table Table
	rows := make([]Row, 100_000)
	for i := range rows {
		rows[i].Source = netip.AddrFrom4([4]byte{198, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		rows[i].Sum = Sum{1, 64}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		table.Add(&rows[i%len(rows)])
	}
}

// TestCountBy: what the kernel counts by has the same numbers.
func TestCountBy(t *testing.T) {
	for by, want := range map[By]wire.CountBy{
		Source: wire.BySource, Pair: wire.ByPair, Conversation: wire.ByConversation, Port: wire.ByPort, VLAN: wire.ByVLAN,
		MAC: wire.ByMAC, Protocol: wire.ByProtocol, Prefix: wire.ByPrefix, Verdict: wire.ByVerdict,
	} {
		if wire.CountBy(by) != want {
			t.Errorf("%v is number %d, and %d in the kernel", by, by, want)
		}
	}
	if int(wire.CountBys) != len(Bys()) {
		t.Errorf("there are %d keys, and %d in the kernel", len(Bys()), wire.CountBys)
	}
}
