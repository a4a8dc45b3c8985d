package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// TestManual holds the page in docs to the command: make man writes it anew.
func TestManual(t *testing.T) {
	status, text, stderr := runCommand("man")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	kept, err := os.ReadFile("../../docs/man/xdplog.1")
	if err != nil {
		t.Fatal(err)
	}
	if text != string(kept) {
		t.Error("docs/man/xdplog.1 is not what xdplog man prints: run make man")
	}
	root := newCommand(run.Environment{})
	root.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden && !strings.Contains(text, `\-\-`+escapeRoff(flag.Name)) {
			t.Errorf("no --%s", flag.Name)
		}
	})
	for _, cmd := range root.Commands() {
		if !strings.Contains(text, "\n.SS \""+cmd.Name()) {
			t.Errorf("no section of %s", cmd.Name())
		}
	}
}

func TestRoff(t *testing.T) {
	var p page
	p.text(".a \\ 'b'\n\n  x-y\n")
	p.macro("B", `"q"`)
	want := "\\&.a \\e \\(aqb\\(aq\n.PP\n.nf\n\\&  x\\-y\n.fi\n.B \"\\(dqq\\(dq\"\n"
	if string(p.b) != want {
		t.Errorf("got %q, want %q", p.b, want)
	}
}
