package asm

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/match"
)

func init() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "rewrite testdata/*.golden")
	}
}

// filterListings are the filters whose code is kept in testdata.
var filterListings = map[string]string{
	"port":      "tcp port 443",
	"host":      "host 192.0.2.1",
	"net":       "net 10.0.0.0/8 and not port 22",
	"syn":       "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn and dst net 10.0.0.0/8",
	"vlan":      "vlan 10",
	"net6":      "ip6 net 2001:db8::/32",
	"echo":      "icmp[icmptype] == icmp-echo",
	"length":    "greater 1000",
	"ether":     "ether host 02:00:00:00:00:01",
	"portrange": "portrange 6000-6010",
	"ports":     "port 80 or 443 or 8080",
	"arp":       "arp",
	"not-tcp":   "not tcp",
	"payload":   "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
	"lookup":    list(match.LookupFrom, " or ", func(i int) string { return fmt.Sprintf("host 192.0.2.%d", i) }),
}

func TestFilterListings(t *testing.T) {
	for name, expression := range filterListings {
		t.Run(name, func(t *testing.T) {
			f := parseFilter(t, expression)
			spec, err := Program(Config{Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			got := (&compiled{filter: f, spec: spec}).listing()
			path := filepath.Join("testdata", "filter_"+name+".golden")
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("listing differs from %s (-update rewrites it); got\n%s", path, got)
			}
		})
	}
}

func TestFilterRejectsAll(t *testing.T) {
	for _, expression := range []string{
		"tcp and udp", "1 = 2", "3 > 5", "ip and arp", "tcp and not tcp", "arp and tcp", "arp and port 80",
		"ip6 and ip host 192.0.2.1", "ip dst host 192.0.2.1 and ip dst host 192.0.2.2",
	} {
		f, err := filter.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Program(Config{Filter: f})
		want := `assemble program: filter "` + expression + `": expression rejects all packets`
		if !errors.Is(err, ErrRejectsAll) || err.Error() != want {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
}

// TestFilterIsPure: the order of Go's maps must not show in a program.
func TestFilterIsPure(t *testing.T) {
	for _, expression := range filterListings {
		f := parseFilter(t, expression)
		first := ""
		for range 10 {
			spec, err := Program(Config{Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			text := strings.TrimSpace((&compiled{spec: spec}).listing())
			if first == "" {
				first = text
			}
			if text != first {
				t.Fatalf("%s: two programs", expression)
			}
		}
	}
}
