package filter_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// random is how many generated expressions libpcap is asked about, besides
// those of the table.
const random = 400

// TestLibpcap compares verdicts with libpcap's, frame by frame.
func TestLibpcap(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("XDPLOG_E2E") == "required" {
			t.Fatalf("tcpdump is not installed: %v", err)
		}
		t.Skipf("tcpdump is not installed: %v", err)
	}
	var frames []filtertest.Frame
	for _, frame := range filtertest.Frames(7) {
		if frame.Plain && len(frame.Data) > 0 { // tcpdump takes an empty frame for the file's end
			frames = append(frames, frame)
		}
	}
	file := filepath.Join(t.TempDir(), "frames.pcap")
	writePcap(t, file, frames)

	var expressions []string
	for _, test := range accepted {
		if !otherThanLibpcap[test.text] {
			expressions = append(expressions, test.text)
		}
	}
	generator := filtertest.NewExpressions(11)
	for range random {
		expressions = append(expressions, generator.Next(6))
	}
	compared, refused := 0, 0
	for _, expression := range expressions {
		f, err := filter.Options{Libpcap: true}.Parse(expression)
		if err != nil {
			t.Errorf("Parse: %v", err)
			continue
		}
		onlyIPv4 := loadsUnasked(f.Root)
		want, err := libpcap(tcpdump, file, len(frames), expression)
		if err != nil {
			// It takes a constant offset behind / % << >> for the number
			// to divide or shift by: len << tcp[44].
			refused++
			t.Logf("%s: %v", expression, err)
			continue
		}
		compared++
		for i, frame := range frames {
			if onlyIPv4 && isIPv6(frame.Data) {
				continue
			}
			if got := f.Match(frame.Data, frame.Length); got != want[i] {
				t.Errorf("%s\n\ton %s (%d of %d bytes): %v, libpcap says %v\n\t%x", expression, frame.Name, len(frame.Data), frame.Length, got, want[i], frame.Data)
				break
			}
		}
	}
	t.Logf("%d expressions on %d frames; %d that tcpdump refuses", compared, len(frames), refused)
	if refused > len(expressions)/20 {
		t.Errorf("tcpdump refuses %d of %d expressions", refused, len(expressions))
	}
}

// loadsUnasked says whether something is loaded from a layer of both versions
// that the packet may lack: libpcap then takes the byte from elsewhere in IPv6.
func loadsUnasked(n filter.Node) bool {
	switch n := n.(type) {
	case filter.And:
		return slices.ContainsFunc(n, loadsUnasked)
	case filter.Or:
		return slices.ContainsFunc(n, loadsUnasked)
	case filter.Not:
		return loadsUnasked(n.Term)
	case filter.Relation:
		return slices.ContainsFunc(loads(n.Left, loads(n.Right, nil)), func(l filter.Layer) bool {
			return ofBoth(l) && !slices.Contains(n.Layers(), l)
		})
	}
	return false
}

func ofBoth(l filter.Layer) bool {
	proto, ok := l.Transport()
	return ok && proto.Version == filter.AnyIP
}

// loads appends the layers that an expression loads from.
func loads(a filter.Arith, list []filter.Layer) []filter.Layer {
	switch a := a.(type) {
	case filter.Load:
		return loads(a.Offset, append(list, a.Layer))
	case filter.Binary:
		return loads(a.Left, loads(a.Right, list))
	}
	return list
}

func isIPv6(frame []byte) bool { return len(frame) > 13 && frame[12] == 0x86 && frame[13] == 0xdd }

// writePcap writes frames whose times are their numbers.
func writePcap(t *testing.T, name string, frames []filtertest.Frame) {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(frame.Data), Length: frame.Length}
		if err := w.WritePacket(info, frame.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// libpcap is what tcpdump says of each frame, without the optimizer, which
// removes loads and with them verdicts on frames that are cut.
func libpcap(tcpdump, file string, frames int, expression string) ([]bool, error) {
	out, err := exec.Command(tcpdump, "-O", "-tt", "-nn", "-q", "-r", file, "--", expression).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, err
	}
	verdicts := make([]bool, frames)
	for line := range strings.Lines(string(out)) {
		second, _, isFrame := strings.Cut(line, ".000000 ")
		if !isFrame {
			continue // the second line of what it says of a frame
		}
		n, err := strconv.Atoi(second)
		if err != nil || n >= frames {
			continue
		}
		verdicts[n] = true
	}
	return verdicts, nil
}
