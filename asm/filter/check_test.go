package filter_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
)

// TestCheck: a tree that was made wrong is an error, and nowhere a panic.
func TestCheck(t *testing.T) {
	tcp := filter.Proto{Number: 6}
	itself := filter.Or{tcp, nil}
	itself[1] = itself
	deep := filter.Node(tcp)
	for range 100_000 {
		deep = filter.Not{Term: deep}
	}
	for name, f := range map[string]*filter.Filter{
		"none":               {},
		"nil":                nil,
		"a missing term":     {Root: filter.Or{tcp, nil}},
		"Not nothing":        {Root: filter.Not{}},
		"itself":             {Root: itself},
		"deep":               {Root: deep},
		"pointer":            {Root: &filter.Proto{Number: 6}},
		"no operands":        {Root: filter.Relation{}},
		"half a relation":    {Root: filter.Relation{Left: filter.Length{}}},
		"no offset":          {Root: filter.Relation{Left: filter.Load{Size: 1}, Right: filter.Number(1)}},
		"no size":            {Root: filter.Relation{Left: filter.Load{Offset: filter.Number(1)}, Right: filter.Number(1)}},
		"half a sum":         {Root: filter.Relation{Left: filter.Binary{Left: filter.Number(1)}, Right: filter.Number(1)}},
		"direction":          {Root: filter.Port{Direction: 4}},
		"direction of ether": {Root: filter.EtherAddress{Direction: 4}},
		"direction of IPv4":  {Root: filter.Net4{Direction: 200}},
		"scope":              {Root: filter.Net4{Scope: 4}},
		"no prefix":          {Root: filter.Net6{}},
		"a prefix of IPv4":   {Root: filter.Net6{Prefix: netip.MustParsePrefix("192.0.2.0/24")}},
		"direction of IPv6":  {Root: filter.Net6{Prefix: netip.MustParsePrefix("2001:db8::/32"), Direction: 9}},
		"version":            {Root: filter.Proto{Version: 5}},
		"comparison":         {Root: filter.Relation{Op: 6, Left: filter.Number(1), Right: filter.Length{}}},
		"operator":           {Root: filter.Relation{Left: filter.Binary{Op: 10, Left: filter.Number(1), Right: filter.Length{}}, Right: filter.Length{}}},
		"layer":              {Root: filter.Relation{Left: filter.Load{Layer: 200, Size: 1, Offset: filter.Number(1)}, Right: filter.Length{}}},
	} {
		err := f.Check()
		if err == nil {
			t.Errorf("%s is a filter", name)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error has several lines: %q", name, err)
		}
		frame := make([]byte, 64)
		if f.Match(frame, 64) || f.Matcher().Match(frame, 64) {
			t.Errorf("%s matches", name)
		}
		if text := f.String(); text != "("+err.Error()+")" {
			t.Errorf("%s: text is %q", name, text)
		} else if _, err := filter.Parse(text); err == nil {
			t.Errorf("%s: Parse takes %q", name, text)
		}
	}
	if new(filter.Matcher).Match(nil, 0) {
		t.Error("the zero Matcher matches")
	}
}

// TestTextOfNoTerms: what an empty list means is what its text means.
func TestTextOfNoTerms(t *testing.T) {
	for _, root := range []filter.Node{filter.And{}, filter.Or{}, filter.Not{Term: filter.And{}}} {
		f := &filter.Filter{Root: root}
		again, err := filter.Parse(f.String())
		if err != nil || again.Match(nil, 0) != f.Match(nil, 0) {
			t.Errorf("%#v is %q, which differs: %v", root, f, err)
		}
	}
}

// TestUnknownLayer: a number that is no layer has no properties, and is no panic.
func TestUnknownLayer(t *testing.T) {
	const l filter.Layer = 200
	_, etherType := l.EtherType()
	_, transport := l.Transport()
	if etherType || transport || l.String() != "layer 200" {
		t.Errorf("%v has an EtherType: %v, a transport: %v", l, etherType, transport)
	}
}

// TestErrorOutside: an Error that somebody else made wrong is still one line.
func TestErrorOutside(t *testing.T) {
	for _, offset := range []int{-1, 3, 4, 1000} {
		e := &filter.Error{Text: "tcp", Offset: offset, Message: "wrong"}
		if got := e.Error(); got != "tcp: wrong" {
			t.Errorf("offset %d: %q", offset, got)
		}
		if lines := strings.Split(e.Caret(), "\n"); len(lines) != 2 {
			t.Errorf("offset %d: caret form has %d lines", offset, len(lines))
		}
	}
	if got := new(filter.Error).Error(); got != "filter: " {
		t.Errorf("the zero value is %q", got)
	}
}
