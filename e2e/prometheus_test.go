package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheusAt is where a Prometheus of the tests listens, alone in its namespace.
const prometheusAt = "127.0.0.1:9090"

// prometheus starts one in the right namespace, that scrapes a target, with the alerts of deploy.
func (l *lab) prometheus(t *testing.T, target string) {
	t.Helper()
	alerts, err := filepath.Abs("../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
rule_files: [%q]
scrape_configs:
  - job_name: xdplog
    scrape_interval: 1s
    static_configs: [{targets: [%q]}]
`, alerts, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	server := launch(t, l.right, exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", prometheusAt))
	if !server.stderr.await("Server is ready to receive web requests") {
		t.Fatalf("prometheus does not start:\n%s", &server.stderr)
	}
}

// ask has Prometheus evaluate an expression to one number, or none.
func (l *lab) ask(t *testing.T, expression string) (value float64, ok bool) {
	t.Helper()
	body := l.get(t, prometheusAt, "/api/v1/query?query="+url.QueryEscape(expression))
	var answer struct {
		Status string
		Data   struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v in %s", expression, err, body)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	value, err := strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64)
	if err != nil || len(answer.Data.Result) > 1 {
		t.Fatalf("%s: %v, %s", expression, err, body)
	}
	return value, true
}

// awaits returns when an expression has a value.
func (l *lab) awaits(t *testing.T, expression string, want float64) {
	t.Helper()
	for deadline := time.Now().Add(4 * timeout); ; time.Sleep(100 * time.Millisecond) {
		got, ok := l.ask(t, expression)
		if ok && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v (%v), want %v", expression, got, ok, want)
		}
	}
}

// TestPrometheus has Debian's Prometheus scrape a run, and compares what it then
// answers with what was sent.
func TestPrometheus(t *testing.T) {
	if !have(t, "prometheus") {
		return
	}
	lab := newLab(t)
	lab.loopback(t)
	capture := start(t, lab.right, "-i", right(0), "-o", "none", "--metrics", ":0", "--metrics-sources", "2", "udp").listens(t)
	lab.prometheus(t, capture.metricsAt(t))
	lab.awaits(t, `xdplog_packets_matched_total`, 0)
	const packets, bytes = 50, 60
	lab.udp(t, 0, false, 53, packets/2, 18)
	lab.awaits(t, `xdplog_packets_matched_total`, packets/2)
	lab.udp(t, 0, false, 53, packets/2, 18)
	lab.awaits(t, `xdplog_packets_matched_total`, packets)
	lab.awaits(t, `sum(xdplog_events_total{protocol="udp"})`, packets)
	for expression, want := range map[string]float64{
		`up{job="xdplog"}`:              1,
		`xdplog_packets_lost_total`:     0,
		`sum(xdplog_event_bytes_total)`: packets * bytes,
		`xdplog_interface_packets_captured_total{interface="` + right(0) + `"}`:                                                       packets,
		`sum(xdplog_source_packets_total) + sum(xdplog_source_past_packets_total)`:                                                    packets,
		`sum(xdplog_source_bytes_total) + sum(xdplog_source_past_bytes_total)`:                                                        packets * bytes,
		`xdplog_source_packets_total{source="192.0.2.1"} > bool 0`:                                                                    1,
		`xdplog_run_info{place="xdp",mode="native",filter="udp"}`:                                                                     1,
		`process_resident_memory_bytes > bool 1e6`:                                                                                    1,
		`process_start_time_seconds > bool time() - 600`:                                                                              1,
		`xdplog_packets_matched_total - xdplog_packets_captured_total - xdplog_packets_sampled_out_total - xdplog_packets_lost_total`: 0,
	} {
		if got, ok := lab.ask(t, expression); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", expression, got, ok, want)
		}
	}
	if body := lab.get(t, prometheusAt, "/api/v1/rules"); !strings.Contains(body, "XdplogDown") || strings.Contains(body, `"health":"err"`) {
		t.Errorf("rules: %s", body)
	}
	capture.stop(t)
	lab.awaits(t, `up{job="xdplog"}`, 0)
	lab.wantNoProgram(t)
}

// TestRules holds the alerts and the dashboard to promtool, and what they ask for to
// metrics that there are.
func TestRules(t *testing.T) {
	if !have(t, "promtool") {
		return
	}
	dir := t.TempDir()
	for _, args := range [][]string{
		{"check", "config", "../deploy/prometheus/prometheus.yml"},
		{"test", "rules", "../deploy/prometheus/alerts_test.yml"},
		{"check", "rules", "--lint-fatal", "../deploy/prometheus/alerts.yml"},
		{"check", "rules", dashboardRules(t, dir)},
	} {
		if said, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, said)
		}
	}
	page, err := os.ReadFile("../cmd/xdplog/internal/metrics/testdata/page.prom")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile("../deploy/prometheus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(?:xdplog|process)(?:_[a-z]+)+\b`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, name := range names {
			if !strings.Contains(string(page), "# TYPE "+name+" ") {
				t.Errorf("%s asks for %s, which there is not", file, name)
			}
		}
	}
}

// dashboardRules makes rules of the expressions of the dashboard, which promtool
// does not read, with values for Grafana's variables.
func dashboardRules(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile("../deploy/prometheus/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$instance", ".*").Replace(target.Expr)
			fmt.Fprintf(&rules, "      - {record: \"dashboard:n%d\", expr: %q}\n", n, expression)
			n++
		}
	}
	if n == 0 {
		t.Fatal("the dashboard asks for nothing")
	}
	file := filepath.Join(dir, "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
