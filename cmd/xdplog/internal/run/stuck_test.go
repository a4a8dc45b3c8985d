package run

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/eventtest"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/metrics"
)

// TestStuckClients has clients that ask and do not read, or say nothing at all,
// as many as there may be, while events go through and the run ends.
func TestStuckClients(t *testing.T) {
	e, err := metrics.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(5000)
	meter := metrics.NewMeter(f.source, metrics.Options{Interfaces: eventtest.Interfaces})
	f.session.source = meter
	e.Serve(meter)
	const connections = 2 * 16 // twice what it takes
	for i := range connections {
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(e.URL(), "http://"), "/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			// Answers of more than both sockets' buffers.
			go fmt.Fprint(conn, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 20_000))
		}
	}
	f.limit = 5000
	begin := time.Now()
	f.check(t, f.run(context.Background()), 5000, "<nil>", closing(5000))
	e.Close()
	if took := time.Since(begin); took > 2500*time.Millisecond {
		t.Errorf("a run beside stuck clients took %v", took)
	}
}
