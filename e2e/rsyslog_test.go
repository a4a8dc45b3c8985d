package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rsyslog starts Debian's rsyslog with the configuration of deploy, and returns its
// socket and the file that it writes.
func (l *lab) rsyslog(t *testing.T) (socket, output string) {
	t.Helper()
	dir := t.TempDir()
	socket, output = filepath.Join(dir, "xdplog.sock"), filepath.Join(dir, "xdplog.json")
	text, err := os.ReadFile("../deploy/rsyslog.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("/run/xdplog.sock", socket, "/var/log/xdplog.json", output).Replace(string(text))
	if err := os.WriteFile(filepath.Join(dir, "rsyslog.conf"), []byte("global(workDirectory=\""+dir+"\")\n"+config), 0o644); err != nil {
		t.Fatal(err)
	}
	server := launch(t, l.right, exec.Command("rsyslogd", "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid")))
	for deadline := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return socket, output
		}
		if time.Now().After(deadline) {
			t.Fatalf("rsyslogd does not start:\n%s", &server.stderr)
		}
	}
}

// TestRsyslog has events go from standard output through Debian's rsyslog into a file,
// in which each of them is then, with its fields, and nothing else.
func TestRsyslog(t *testing.T) {
	if !have(t, "rsyslogd") || !have(t, "logger") {
		return
	}
	lab := newLab(t)
	socket, output := lab.rsyslog(t)
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	logger := exec.Command("logger", "--tag", "xdplog", "--socket", socket, "--size", "4096")
	logger.Stdin = from
	shipper := launch(t, lab.right, logger).read()
	from.Close()
	xdplog := command("-i", right(0), "-o", "json", "udp")
	xdplog.Stdout = to
	capture := launch(t, lab.right, xdplog).read().listens(t)
	to.Close()

	const packets = 200
	lab.udp(t, 0, false, 53, packets, 18)
	capture.signal(t, unix.SIGTERM)
	end := capture.wait(t)
	if end.status != 0 || end.counters.Captured != packets || end.counters.Lost != 0 {
		t.Errorf("status %d:\n%s", end.status, end.stderr)
	}
	if end := shipper.wait(t); end.status != 0 {
		t.Errorf("logger: status %d:\n%s", end.status, end.stderr)
	}
	var lines []string
	for deadline := time.Now().Add(timeout); len(lines) < packets && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(output)
		if err == nil {
			lines = strings.Split(string(bytes.TrimSuffix(text, []byte{'\n'})), "\n")
		}
	}
	if len(lines) != packets {
		t.Fatalf("%d lines, want %d", len(lines), packets)
	}
	for _, line := range lines {
		var got struct {
			Type        string `json:"event_type"`
			Interface   string `json:"in_iface"`
			Length      int    `json:"pkt_len"`
			Source      string `json:"src_ip"`
			Destination string `json:"dest_ip"`
			Port        int    `json:"dest_port"`
		}
		want := got
		want.Type, want.Interface, want.Length = "packet", right(0), 60
		want.Source, want.Destination, want.Port = "192.0.2.1", "192.0.2.2", 53
		if err := json.Unmarshal([]byte(line), &got); err != nil || got != want {
			t.Fatalf("%v: %s is not what was sent", err, line)
		}
	}
}
