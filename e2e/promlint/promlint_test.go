// Package promlint holds a page of metrics to Prometheus' conventions, as promtool check metrics does. It is a module of its
// own, so that who imports xdplog does not get Prometheus' libraries to know: make test runs it.
package promlint

import (
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestPage(t *testing.T) {
	page, err := os.Open("../../cmd/xdplog/internal/metrics/testdata/page.prom")
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	problems, err := promlint.New(page).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
