package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// BenchmarkWrite writes all packets of a flood to a file in memory, in turns with tcpdump,
// which gets the same packets from behind a program that does nothing natively: without one
// it would not see what is redirected.
//
//	Mpps          packets written a second, while they come as fast as the machine makes them
//	lost-%        of those that came
//	cpu-ns/packet CPU time of the process, for each that was written
//	of-tcpdump    the rate as a multiple of tcpdump's, and the CPU time as a part of its
func BenchmarkWrite(b *testing.B) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		b.Skip("needs tcpdump")
	}
	for _, size := range []int{64, 1500} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			var ours, theirs writings
			for b.Loop() {
				for range 3 {
					ours.add(writeFlood(b, size, false))
					theirs.add(writeFlood(b, size, true))
				}
			}
			b.ReportMetric(middle(ours.rate), "Mpps")
			b.ReportMetric(middle(ours.lost), "lost-%")
			b.ReportMetric(middle(ours.cpu), "cpu-ns/packet")
			b.ReportMetric(middle(theirs.rate), "tcpdump-Mpps")
			b.ReportMetric(middle(theirs.lost), "tcpdump-lost-%")
			b.ReportMetric(middle(theirs.cpu), "tcpdump-cpu-ns/packet")
			b.ReportMetric(middle(ours.rate)/middle(theirs.rate), "rate-of-tcpdump")
			b.ReportMetric(middle(ours.cpu)/middle(theirs.cpu), "cpu-of-tcpdump")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// writings are what runs came to.
type writings struct{ rate, lost, cpu []float64 }

func (w *writings) add(rate, lost, cpu float64) {
	w.rate, w.lost, w.cpu = append(w.rate, rate), append(w.lost, lost), append(w.cpu, cpu)
}

// writeFlood is one run of either.
func writeFlood(b *testing.B, size int, tcpdump bool) (rate, lost, cpu float64) {
	b.Helper()
	packets := 2_000_000
	if size > 1000 {
		packets /= 4
	}
	memory, err := os.MkdirTemp("/dev/shm", "xdplog")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(memory)
	name := filepath.Join(memory, "written")
	lab := newLab(b)
	var p *process
	if tcpdump {
		defer lab.passOn(b)()
		p = launch(b, lab.right, exec.Command("tcpdump", "-n", "-i", right(0), "-B", "8192", "-w", name, "udp")).read()
		p.stderr.await(listening)
	} else {
		p = start(b, lab.right, "-i", right(0), "--buffer", "8MiB", "-w", name, "udp").listens(b)
	}
	flood := lab.flood(b, 0, cpus(b)[0], floodFrame(size, layers.EthernetTypeIPv4), alike)
	before, begin := p.cpuTime(b), time.Now()
	flood.send(b, packets)
	took := time.Since(begin)
	lab.settle()
	used := p.cpuTime(b) - before
	p.signal(b, unix.SIGINT)
	p.wait(b)
	var written float64
	if _, err := fmt.Sscanf(lastCaptured(p.stderr.String()), "%f", &written); err != nil || written == 0 {
		b.Fatalf("it does not say how many were captured:\n%s", p.stderr.String())
	}
	return written / float64(took.Microseconds()), 100 * (1 - written/float64(packets)), float64(used.Nanoseconds()) / written
}

// lastCaptured is the closing line with the number of packets captured.
func lastCaptured(said string) string {
	for _, line := range strings.Split(said, "\n") {
		var n float64
		if _, err := fmt.Sscanf(line, "%f packets captured", &n); err == nil {
			return line
		}
	}
	return ""
}
