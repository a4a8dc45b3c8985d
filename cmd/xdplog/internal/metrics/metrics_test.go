package metrics

import (
	"bytes"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/reader"
)

func TestAddresses(t *testing.T) {
	for s, want := range map[string]string{
		"10937": "127.0.0.1:10937", ":10937": "127.0.0.1:10937", "0": "127.0.0.1:0",
		"0.0.0.0:10937": "0.0.0.0:10937", "[::1]:10937": "[::1]:10937", "localhost:10937": "localhost:10937",
		"": "", ":": "", "eth0": "", "192.0.2.1": "", "65536": "", ":-1": "", "::1": "", "[::]": "",
		"192.0.2.1:http": "", "http://192.0.2.1:10937": "",
	} {
		got, err := ParseAddress(s)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", s, got, err, want)
		}
	}
}

// meterOf has read some events.
func meterOf(t *testing.T) *Meter {
	t.Helper()
	source := eventtest.NewSource(7)
	count := func(c wire.Counters) func() (wire.Counters, error) {
		return func() (wire.Counters, error) { return c, nil }
	}
	m := NewMeter(source, Options{
		Interfaces: eventtest.Interfaces,
		Streams: []Stream{
			{"eth0", "in", count(wire.Counters{Seen: 13, Captured: 11, Lost: 1, SampledOut: 1, CapturedBytes: 660, LostBytes: 60, SampledOutBytes: 60})},
			{"eth0", "out", count(wire.Counters{Seen: 5, Captured: 5})},
			{eventtest.Interfaces[1].Name, "in", count(wire.Counters{Seen: 2, Captured: 2})},
			{eventtest.Interfaces[1].Name, "out", count(wire.Counters{Seen: 2, Captured: 2})},
		},
		Info:      Info{Mode: "native", Place: "XDP, tc egress", Transport: "perf", Filter: `udp and host "x"`, Sampling: "all"},
		Buffer:    4 << 20,
		Sources:   2,
		Unwritten: func() uint64 { return 1 }, HardwareTimes: func() uint64 { return 1 },
		Flows: func() Flows { return Flows{Begun: 5, Open: 2, Early: 1, Exported: true, Sent: 3} },
	})
	for n := 0; n < 7; {
		got, err := m.ReadPackets(make([]reader.Packet, 3))
		if err != nil {
			t.Fatal(err)
		}
		n += got
	}
	for _, event := range []reader.Event{
		eventtest.Usual(eventtest.UDP), eventtest.Usual(eventtest.UDP), eventtest.Usual(eventtest.IPv6), eventtest.Usual(eventtest.Protocol(124)),
		eventtest.Usual(eventtest.Fated(wire.NoDirection, 0, wire.Drop)), eventtest.Usual(eventtest.Fated(wire.NoDirection, 0, wire.Pass)), {Interface: 2}, {Interface: 3}, {Interface: 99},
	} {
		m.count([]reader.Packet{{Event: event}})
	}
	return m
}

func TestMetrics(t *testing.T) {
	b, err := meterOf(t).appendMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`xdplog_packets_captured_total 20`,
		`xdplog_packets_lost_total 1`,
		`xdplog_packets_seen_total 22`,
		`xdplog_matched_bytes_total 780`,
		`xdplog_interface_lost_bytes_total{interface="eth0",direction="in"} 60`,
		`xdplog_interface_packets_seen_total{interface="eth0",direction="in"} 13`,
		`xdplog_interface_packets_matched_total{interface="eth0",direction="in"} 13`,
		`xdplog_interface_packets_captured_total{interface="eth0",direction="out"} 5`,
		`xdplog_event_bytes_total{interface="eth0",protocol="udp"} 120`,
		`xdplog_source_packets_total{source="other"} 16`,
		`xdplog_buffer_capacity_bytes 4194304`,
		`xdplog_events_unwritten_total 1`,
		`xdplog_run_info{mode="native",place="XDP, tc egress",transport="perf",filter="udp and host \"x\"",sampling="all"} 1`,
		`xdplog_buffer_waiting_events 4`,
		`xdplog_events_total{interface="eth0",protocol="tcp"} 10`,
		`xdplog_verdicts_total{interface="eth0",verdict="drop"} 1`,
		`xdplog_verdicts_total{interface="eth0",verdict="pass"} 1`,
		`xdplog_events_total{interface="eth0",protocol="udp"} 2`,
		`xdplog_events_total{interface="eth0",protocol="isis over ipv4"} 1`,
		`xdplog_events_total{interface="eth0",protocol="none"} 1`,
		`xdplog_events_total{interface="a\"\\` + "\x01\uFFFD" + `<é",protocol="none"} 1`,
		`xdplog_events_total{interface="unknown",protocol="none"} 1`,
	} {
		if !strings.Contains(string(b), "\n"+line+"\n") {
			t.Errorf("no line %s in\n%s", line, b)
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata/*.prom")

// TestPage holds a whole answer to what it was. Prometheus' own linter reads that file,
// in a module of its own, e2e/promlint: nobody else shall need Prometheus.
func TestPage(t *testing.T) {
	meter := meterOf(t)
	for range 2 * consideredOf {
		meter.sources.count([]reader.Packet{{Event: eventtest.Usual()}, {Event: eventtest.Usual()}, {Event: eventtest.Usual(eventtest.IPv6)}})
	}
	if _, err := meter.appendMetrics(nil); err != nil { // after which sources have names
		t.Fatal(err)
	}
	meter.count([]reader.Packet{{Event: eventtest.Usual()}, {Event: eventtest.Usual(eventtest.IPv6)}})
	page, err := meter.appendMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	page = regexp.MustCompile(`(?m)^(process_\w+) .*`).ReplaceAll(page, []byte("$1 1"))
	page = appendRunTime(page, 42, 1500*time.Nanosecond)
	build := regexp.MustCompile(`build_info\{.*\}`) // of this binary
	page = build.ReplaceAll(page, []byte(`build_info{version="devel",revision="",goversion="go1.26"}`))
	const golden = "testdata/page.prom"
	if *update {
		if err := os.WriteFile(golden, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, want) {
		t.Errorf("the page is not %s (-update rewrites it):\n%s", golden, page)
	}
}

func TestMeteringDoesNotAllocate(t *testing.T) {
	m := NewMeter(eventtest.NewSource(0), Options{Interfaces: eventtest.Interfaces})
	packets := []reader.Packet{{Event: eventtest.Usual()}, {Event: eventtest.Usual(eventtest.UDP)}, {Event: eventtest.Usual(eventtest.IPv6)}, {}}
	if n := testing.AllocsPerRun(100, func() { m.count(packets) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMetering(b *testing.B) {
	m := NewMeter(eventtest.NewSource(0), Options{Interfaces: eventtest.Interfaces})
	const batch = 256
	packets := make([]reader.Packet, batch)
	for i := range packets {
		packets[i].Event = eventtest.Usual()
		if i%4 == 0 {
			eventtest.UDP(&packets[i].Event)
		}
	}
	for b.Loop() {
		m.count(packets)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/event")
}

// endpointOf is an endpoint that answers.
func endpointOf(t *testing.T) *Endpoint {
	t.Helper()
	e, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.Serve(meterOf(t))
	t.Cleanup(func() { e.Close() })
	return e
}

// TestFamily has 0.0.0.0 be every address of IPv4, and of no other family.
func TestFamily(t *testing.T) {
	e, err := Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.Serve(meterOf(t))
	_, port, err := net.SplitHostPort(e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, "http://127.0.0.1:"+port+"/metrics"); status != http.StatusOK {
		t.Errorf("over IPv4: %d", status)
	}
	other, err := net.Listen("tcp6", "[::1]:"+port)
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	other.Close() // nobody has it
	if _, err := http.Get("http://[::1]:" + port + "/metrics"); err == nil {
		t.Error("it answers over IPv6")
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestEndpoint(t *testing.T) {
	e := endpointOf(t)
	at := strings.TrimSuffix(e.URL(), "/metrics")
	if status, body := get(t, e.URL()); status != http.StatusOK || !strings.Contains(body, "xdplog_packets_seen_total 22\n") {
		t.Errorf("metrics: %d\n%s", status, body)
	}
	if status, body := get(t, at+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	if status, _ := get(t, at+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("elsewhere: %d", status)
	}
	if _, err := Listen(strings.TrimPrefix(at, "http://")); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the same address again: %v", err)
	}
	e.Close()
	if _, err := http.Get(e.URL()); err == nil {
		t.Error("it answers after its end")
	}
}
