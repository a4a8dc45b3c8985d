package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// dump prints the program of a config and the maps that it uses.
func dump(config asm.Config, w io.Writer) error {
	spec, err := asm.Program(config)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		fmt.Fprintf(&text, "; map %s\n", describe(spec.Maps[name]))
	}
	for number, at := range config.Programs() {
		program := spec.Programs[asm.ProgramOf(number)]
		place := at.String()
		if at == asm.XDP {
			place = "XDP"
		}
		fmt.Fprintf(&text, "; program %s: %s, %d instructions\n\n", program.Name, place, program.Instructions.Size()/8)
		if err := asm.Listing(&text, program.Instructions); err != nil {
			return err
		}
		if number < len(config.Programs())-1 {
			text.WriteByte('\n')
		}
	}
	_, err = io.WriteString(w, text.String())
	return term.OrClosed(err)
}

// describe is a map's name, type and sizes.
func describe(m *ebpf.MapSpec) string {
	switch m.Type {
	case ebpf.PerfEventArray:
		return fmt.Sprintf("%s: %v, one per CPU", m.Name, m.Type)
	case ebpf.RingBuf:
		return fmt.Sprintf("%s: %v of %d bytes", m.Name, m.Type, m.MaxEntries)
	}
	entries := "entries"
	if m.MaxEntries == 1 {
		entries = "entry"
	}
	each := ""
	if m.Type == ebpf.PerCPUArray {
		each = " on each CPU"
	}
	return fmt.Sprintf("%s: %v, %d %s of %d bytes by %d%s", m.Name, m.Type, m.MaxEntries, entries, m.ValueSize, m.KeySize, each)
}
