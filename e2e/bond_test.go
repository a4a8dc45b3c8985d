package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBondNames: a bond has its ports run a native program, which then bears their
// index. Everywhere the packet is the bond's, and it is said which port received it.
func TestBondNames(t *testing.T) {
	bond := uppers[4]
	for _, mode := range []string{"native", "generic"} {
		t.Run(mode, func(t *testing.T) {
			lab := newLabWith(t, labOptions{pairs: 2})
			lab.loopback(t)
			lab.stack(t, bond)
			if err := lab.warmUpAs(0, above); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(t.TempDir(), "out.pcapng")
			capture := start(t, lab.right, "-i", right(1), "-i", above, "--mode", mode, "-o", "json", "-w", name, "--metrics", ":0")
			if !capture.stderr.await(listening) && mode == "native" && strings.Contains(capture.stderr.String(), "refused by driver") {
				t.Skip("this kernel lacks bonds that take a native program (Linux 5.15)")
			}
			capture.listens(t)
			at := capture.metricsAt(t)
			lab.send(t, marker())
			e := capture.next(t)
			if e.Interface != above {
				t.Errorf("interface is %s, want %s", e.Interface, above)
			}
			port := `"in_port":"` + right(0) + `",`
			if got, want := strings.Contains(e.text, port), mode == "native"; got != want {
				t.Errorf("%s: its port is said is %v, want %v", e.text, got, want)
			}
			if metrics := lab.get(t, at, "/metrics"); !strings.Contains(metrics, `xdplog_events_total{interface="`+above+`",protocol="udp"} 1`) {
				t.Errorf("metrics are\n%s", metrics)
			}
			capture.stop(t)
			lab.wantOn(t, above, false)
			if e := start(t, lab.right, "-r", name, "-o", "json").next(t); e.Interface != above {
				t.Errorf("in the file the interface is %s, want %s", e.Interface, above)
			}
		})
	}
}
