package asm

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bpf "github.com/cilium/ebpf/asm"

	"github.com/xdplog/xdplog/asm/internal/layout"
	"github.com/xdplog/xdplog/asm/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

func TestFragments(t *testing.T) {
	for _, fragment := range []struct {
		name string
		emit func(*builder)
	}{
		{"prologue", func(b *builder) { b.prologue() }},
		{"ethernet", func(b *builder) { b.ethernet("short") }},
		{"vlan", func(b *builder) { b.vlan(0, "untagged", "cut"); b.vlan(1, "untagged", "cut") }},
		{"ipv4", func(b *builder) { b.ipv4("later", "malformed") }},
		{"ipv6", func(b *builder) { b.ipv6("malformed") }},
		{"extension", func(b *builder) { b.extension("done", "later", "cut") }},
		{"transport", func(b *builder) { b.transport("done", "cut") }},
		{"complete", func(b *builder) { b.complete(PreciseClock) }},
		{"hash-tc", func(b *builder) { trafficControl{}.rxHash(b) }},
		{"complete-nofrags", func(b *builder) { b.place = xdpSlot{}; b.complete(CoarseClock) }},
		{"sample", func(b *builder) { b.sample(Sampling{N: 10}, "out") }},
		{"sample-random", func(b *builder) { b.sample(Sampling{N: 10, Random: true}, "out") }},
		{"perf", func(b *builder) { way(b, perfBuffer{}) }},
		{"perf-bytes", func(b *builder) { way(b, perfBuffer{snapLen: unpadded(100, wire.RecordSize)}) }},
		{"ringbuf", func(b *builder) { way(b, ringBuffer{size: 4 << 20, cpus: 1}) }},
		{"tally", func(b *builder) { b.tally(Count{}) }},
		{"tally-conversation", func(b *builder) { b.tally(Count{By: wire.ByConversation, Rows: 1 << 16}) }},
		{"mmap-packets", func(b *builder) { way(b, packetRing{bytes: 2 << 20, snapLen: 1 << 18, cpus: 2}) }},
		{"mmap", func(b *builder) { way(b, sharedRing{slots: 32768, cpus: 2}) }},
	} {
		t.Run(fragment.name, func(t *testing.T) {
			b := newBuilder(xdpSlot{frags: true, copies: true})
			switch fragment.name {
			case "ethernet", "vlan", "ipv4", "ipv6", "extension", "transport":
				b.Roles(layout.ParseRoles())
			}
			fragment.emit(b)
			b.outOfReach()
			insns, err := b.Fragment()
			if err != nil {
				t.Fatal(err)
			}
			name := "fragment-" + fragment.name
			if runtime.GOARCH != "amd64" && strings.HasPrefix(fragment.name, "mmap") {
				name += "-atomic" // see publish
			}
			golden(t, name, insns)
		})
	}
}

// way is all of a transport.
func way(b *builder, t transport) {
	t.begin(b)
	t.submit(b, "lost")
	b.count("captured", 0)
}

func TestPrograms(t *testing.T) {
	for name, cfg := range map[string]Config{
		"default": {},
		"all":     {All: true},
		"nofrags": {NoFrags: true},
		"tc":      {Place: TCEgress},
		"inner":   {Inner: true},

		"hash":     {Hash: true, Metadata: []Metadata{{Index: 1, Hash: 4}}},
		"metadata": {Clock: HardwareClock, Metadata: []Metadata{{Index: 1, VLANTag: 2, Timestamp: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := Program(cfg)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "program-"+name, spec.Programs[ProgramName].Instructions)
		})
	}
}

// golden compares a listing with the file of that name.
func golden(t *testing.T, name string, insns bpf.Instructions) {
	t.Helper()
	var listing bytes.Buffer
	if err := Listing(&listing, insns); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, listing.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, lines := strings.Split(listing.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(lines)) {
		if i >= len(got) || i >= len(lines) || got[i] != lines[i] {
			at := func(lines []string) string { return strings.Join(lines[min(i, len(lines)):min(i+3, len(lines))], "\n") }
			t.Fatalf("listing differs from %s:%d (-update rewrites it); got\n%s\nwant\n%s", path, i+1, at(got), at(lines))
		}
	}
}
