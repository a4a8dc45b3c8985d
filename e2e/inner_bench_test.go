package e2e

import (
	"testing"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdplog/xdplog/asm"
)

// BenchmarkInner measures what it costs the program to look into tunnels, of a packet in none
// and of one in VXLAN, in turns with the same program that does not look and with one
// that does nothing, which is taken off both: mmap-inner/mmap.
func BenchmarkInner(b *testing.B) {
	needPrivilege(b)
	runner := newThread(b, pin(cpus(b)[0]))
	plain := floodFrame(64, layers.EthernetTypeIPv4)
	vxlan := frame(ethernet(layers.EthernetTypeIPv4), ipv4(layers.IPProtocolUDP), udp(50000, 4789),
		&layers.VXLAN{ValidIDFlag: true, VNI: 42}, gopacket.Payload(plain))
	for name, f := range map[string][]byte{"plain": plain, "vxlan": vxlan} {
		b.Run("packet="+name, func(b *testing.B) {
			nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{
				Type: ebpf.XDP, License: "MIT", Instructions: bpf.Instructions{bpf.Mov.Imm(bpf.R0, 2), bpf.Return()},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer nothing.Close()
			const portion = 8000
			rows := []*programRow{{name: "pass", program: nothing, portion: portion}}
			for _, transport := range []asm.Transport{asm.Perf, asm.Ringbuf, asm.Mmap} {
				for _, inner := range []bool{false, true} {
					c := loadCapture(b, captureOptions{Config: asm.Config{Transport: transport, Inner: inner}})
					row := &programRow{name: transport.String(), program: c.program, capture: c, portion: portion}
					if inner {
						row.name += "-inner"
					}
					rows = append(rows, row)
				}
			}
			for b.Loop() {
				for range 32 {
					for _, row := range rows {
						row.measure(b, runner, f)
					}
				}
			}
			b.ReportMetric(0, "ns/op") // of this loop
			for i, row := range rows {
				b.ReportMetric(row.median(), row.name+"-ns")
				if row.capture != nil {
					row.capture.finish(b)
				}
				if i > 0 && i%2 == 0 {
					without := rows[i-1]
					pass := rows[0].median()
					b.ReportMetric((row.median()-pass)/(without.median()-pass), row.name+"/"+without.name)
				}
			}
		})
	}
}
