package e2e

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needProgram skips the test where a program of others is not there, which CI installs.
func needProgram(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv(levelEnv) == "required" {
				t.Fatalf("%s=required, but there is no %s", levelEnv, name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

// flowTotals are sums over flows, octets from the IP header on.
type flowTotals struct{ flows, packets, octets uint64 }

func (s *flowTotals) add(c conversation) {
	packets := c.Flow.ToServer + c.Flow.ToClient
	s.flows++
	s.packets += packets
	s.octets += c.Flow.BytesToServer + c.Flow.BytesToClient - 14*packets
}

// collect starts nfcapd, of Debian's nfdump, in the right namespace. The function that it
// returns ends it, and says what it has received, and its log.
func (l *lab) collect(t testing.TB) (end func() (flowTotals, string)) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("nfcapd", "-4", "-b", "127.0.0.1", "-p", "4739", "-w", dir, "-t", "3600")
	collector := launch(t, l.right, cmd).read()
	err := l.right.do(func() error { // when its socket is there
		for start := time.Now(); time.Since(start) < timeout; time.Sleep(10 * time.Millisecond) {
			if sockets, err := os.ReadFile("/proc/thread-self/net/udp"); err == nil && strings.Contains(string(sockets), "0100007F:1283 ") {
				return nil
			}
		}
		return errors.New("it does not listen")
	})
	if err != nil {
		t.Fatalf("start nfcapd: %v", err)
	}
	return func() (sum flowTotals, log string) {
		collector.signal(t, unix.SIGTERM)
		r := collector.wait(t)
		files, err := filepath.Glob(filepath.Join(dir, "nfcapd.*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("nfcapd wrote %d files (%v):\n%s", len(files), err, r.stderr)
		}
		out, err := exec.Command("nfdump", "-r", files[0], "-o", "json").Output()
		if err != nil {
			t.Fatalf("nfdump: %v", err)
		}
		var all []struct {
			In        uint64 `json:"in_packets"`
			InOctets  uint64 `json:"in_bytes"`
			Out       uint64 `json:"out_packets"`
			OutOctets uint64 `json:"out_bytes"`
		}
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		for _, f := range all {
			sum.add(conversation{})
			sum.packets += f.In + f.Out
			sum.octets += f.InOctets + f.OutOctets
		}
		return sum, r.stderr + strings.Join(r.lines, "\n")
	}
}

// TestIPFIX sends flows to nfdump's collector, and has Wireshark look on: what arrives is
// what the command says, both ways, and also of an exporter that was started again.
func TestIPFIX(t *testing.T) {
	needProgram(t, "nfcapd", "nfdump", "tshark")
	lab := newLab(t)
	lab.loopback(t)
	end := lab.collect(t)
	file := filepath.Join(t.TempDir(), "ipfix.pcapng")
	wire := start(t, lab.right, "-i", "lo", "--mode", "generic", "-w", file, "udp port 4739").listens(t)

	var want flowTotals
	for range 2 {
		capture := lab.xdplog(t, "--flows", "--direction", "inout", "--flow-idle", "1s", "--ipfix", "127.0.0.1", "--ipfix-templates", "1s", "tcp or udp")
		for port := range uint16(20) {
			lab.udp(t, 0, port%2 == 0, 1000+port, 3, 100)
		}
		lab.tcp(t, false, 80)
		for range 21 { // as they become idle
			want.add(parseConversation(t, capture.line(t)))
		}
		lab.udp(t, 0, false, 53, 5, 100)
		time.Sleep(time.Second) // so that templates are due again
		r := capture.stop(t)
		for _, line := range r.lines {
			want.add(parseConversation(t, line))
		}
		if !strings.Contains(r.stderr, `"exported":22,"not_exported":0}`) {
			t.Error(r.stderr)
		}
	}
	wire.stop(t)
	got, log := end()
	if got != want || want.flows != 44 {
		t.Errorf("nfdump has %+v, want %+v; it said\n%s", got, want, log)
	}
	if !strings.Contains(log, "Sequence Errors: 1, Bad Packets: 0") { // that is the second run
		t.Errorf("nfcapd said\n%s", log)
	}

	tshark := func(filter, field string) []string {
		out, err := exec.Command("tshark", "-n", "-r", file, "-d", "udp.port==4739,cflow", "-Y", filter, "-T", "fields", "-e", field).Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		return strings.Fields(strings.ReplaceAll(string(out), ",", " "))
	}
	if bad := tshark("_ws.malformed or cflow.flowset_length.invalid or cflow.flowsets.impossible", "frame.number"); len(bad) > 0 {
		t.Errorf("malformed: %v", bad)
	}
	if templates := tshark("cflow.template_id == 256", "frame.number"); len(templates) < 4 {
		t.Errorf("templates came %d times, want them again in both runs", len(templates))
	}
	if gaps := tshark("cflow.unexpected_sequence_number", "frame.number"); len(gaps) > 0 {
		t.Errorf("gaps in the sequence numbers: %v", gaps)
	}
}

// TestIPFIXInEmptyRoot: with the address of a collector there is nothing to look up. What
// comes over TCP are whole messages, templates first, and then the end of the connection.
func TestIPFIXInEmptyRoot(t *testing.T) {
	lab := newLab(t)
	lab.loopback(t)
	var listener net.Listener
	err := lab.right.do(func() (err error) { listener, err = net.Listen("tcp", "127.0.0.1:0"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	capture := lab.emptyRoot(t, "proc", "sys")("-i", right(0), "--ipfix", "tcp://"+listener.Addr().String()).listens(t)
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lab.udp(t, 0, false, 53, 3, 100)
	r := capture.stop(t)
	if want := "1 flow of 3 packets, 1 exported, 0 not exported\n"; !strings.HasSuffix(r.stderr, want) || len(r.lines) > 0 {
		t.Errorf("it said\n%s%v", r.stderr, r.lines)
	}
	conn.SetReadDeadline(time.Now().Add(timeout))
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var sets []uint16
	for len(b) > 0 {
		length := binary.BigEndian.Uint16(b[2:])
		if version := binary.BigEndian.Uint16(b); version != 10 || int(length) > len(b) {
			t.Fatalf("version %d, %d bytes of %d", version, length, len(b))
		}
		sets = append(sets, binary.BigEndian.Uint16(b[16:]))
		b = b[length:]
	}
	if !slices.Equal(sets, []uint16{2, 3, 256}) { // templates, the exporter's own, flows of IPv4
		t.Errorf("messages of sets %v", sets)
	}
}
