package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// get asks for a page, from the right namespace.
func (l *lab) get(t testing.TB, address, path string) string {
	t.Helper()
	var body []byte
	err := l.right.do(func() error {
		conn, err := net.DialTimeout("tcp", address, timeout)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(timeout))
		fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", path)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err = io.ReadAll(answer.Body)
		return err
	})
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	return string(body)
}

// loopback sets it up in the right namespace.
func (l *lab) loopback(t testing.TB) {
	t.Helper()
	l.right.change(t, "lo", netlink.LinkSetUp)
}

// metricsAt is where a process says that its metrics are.
func (p *process) metricsAt(t testing.TB) string {
	t.Helper()
	p.stderr.await("/metrics")
	at := regexp.MustCompile(`metrics on http://(127\.0\.0\.1:\d+)/metrics`).FindStringSubmatch(p.stderr.String())
	if at == nil {
		t.Fatalf("it does not say where the metrics are:\n%s", &p.stderr)
	}
	return at[1]
}

// TestMetrics scrapes a run beside clients that say nothing, and finds in it
// what was captured.
func TestMetrics(t *testing.T) {
	lab := newLab(t)
	lab.loopback(t)
	capture := start(t, lab.right, "-i", right(0), "-o", "json", "--transport", "perf", "--metrics", ":0", "--metrics-sources", "4").listens(t)
	at := capture.metricsAt(t)
	for range 3 {
		err := lab.right.do(func() error {
			conn, err := net.DialTimeout("tcp", at, timeout)
			if err == nil {
				t.Cleanup(func() { conn.Close() })
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		lab.udp(t, 0, false, 53, 1, 18)
		capture.want(t, udp4)
	}
	if body := lab.get(t, at, "/healthz"); body != "ok\n" {
		t.Errorf("healthz says %q", body)
	}
	body := lab.get(t, at, "/metrics")
	for _, line := range []string{
		"xdplog_packets_captured_total 5",
		"xdplog_packets_lost_total 0",
		`xdplog_events_total{interface="` + right(0) + `",protocol="udp"} 5`,
		"xdplog_buffer_waiting_events 0",
		`xdplog_interface_packets_captured_total{interface="` + right(0) + `"} 5`,
		`xdplog_event_bytes_total{interface="` + right(0) + `",protocol="udp"} 300`,
		`xdplog_source_packets_total{source="other"} 5`,
		`xdplog_source_bytes_total{source="other"} 300`,
		"xdplog_events_unwritten_total 0",
		`xdplog_run_info{mode="native",place="xdp",transport="perf",filter="tcp or udp",sampling="all"} 1`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s in\n%s", line, body)
		}
	}
	// The address is in use, so another run does not start.
	complain(t, lab.right, 1, []string{at, "in use"}, "-i", "lo", "--metrics", at)

	begin := time.Now()
	capture.stop(t)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v to end beside clients", took)
	}
	lab.wantNoProgram(t)
}
