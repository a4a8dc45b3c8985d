package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkReadBeside measures -r of a million packets beside tcpdump: both read the
// same file by the same filter, in turns.
//
//	of-tcpdump  wall time as part of tcpdump's, the median of the turns
//	s           xdplog's wall time
func BenchmarkReadBeside(b *testing.B) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		b.Skip("there is no tcpdump")
	}
	out := filepath.Join(b.TempDir(), "out")
	for _, kind := range captureKinds {
		file := kind.file(b, 1_000_000)
		for _, task := range []struct {
			name         string
			theirs, ours []string
		}{
			{"none", []string{"-w", out, "tcp port 9"}, []string{"-w", out, "tcp port 9"}},
			{"all", []string{"-w", out, "tcp or udp"}, []string{"-w", out, "tcp or udp"}},
			{"count", []string{"--count", "tcp port 443"}, []string{"--count", "tcp port 443"}},
			{"text", []string{"-n", "tcp or udp"}, []string{"tcp or udp"}},
		} {
			b.Run(task.name+"/"+kind.name, func(b *testing.B) {
				var parts, ours []float64
				turn := 0
				for b.Loop() {
					commands := [2][]string{append([]string{tcpdump, "-r", file}, task.theirs...), append([]string{os.Getenv(binaryEnv), "-r", file}, task.ours...)}
					var took [2]float64
					for i := range commands {
						i = (i + turn) % 2
						took[i] = wallTime(b, commands[i])
					}
					turn++
					parts, ours = append(parts, took[1]/took[0]), append(ours, took[1])
				}
				b.ReportMetric(middle(parts), "of-tcpdump")
				b.ReportMetric(middle(ours), "s")
				b.ReportMetric(0, "ns/op")
			})
		}
		os.Remove(file)
	}
}

// wallTime runs a command, what it says thrown away, and returns how many seconds that
// took. tcpdump looks for the time zone's file each time that it prints one.
func wallTime(b *testing.B, command []string) float64 {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v", command, err)
	}
	return time.Since(begin).Seconds()
}
