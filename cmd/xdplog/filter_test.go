package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term/termtest"
)

func TestFilterWords(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // the filter, in its canonical text
	}{
		{[]string{"tcp", "port", "443"}, "tcp port 443"},
		{[]string{"tcp port 443"}, "tcp port 443"},
		{[]string{"tcp", "-c", "3", "port", "443", "-q"}, "tcp port 443"},
		{[]string{"-c3", "--", "tcp", "port", "443"}, "tcp port 443"},
		{[]string{"tcp[tcpflags] & tcp-syn != 0"}, "tcp[13] & 2 != 0"},
		{[]string{"tcp[tcpflags]", "&", "tcp-syn", "!=", "0"}, "tcp[13] & 2 != 0"},
		{[]string{"len", "-", "14", ">", "1000"}, "len - 14 > 1000"},
		{[]string{"len", "-14", "-c", "3", ">", "1000"}, "len - 14 > 1000"},
		{[]string{"-c", "3", "-q", "len", "-14", ">", "1000", "-ojson"}, "len - 14 > 1000"},
		{[]string{"-1", "!=", "len"}, "(1 * 4294967295) != len"},
		{[]string{"!", "arp"}, "not arp"},
		{[]string{""}, ""},
	} {
		filter, err := parseWords(c.args)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
			continue
		}
		if got, want := normal(filter), normal(c.want); got != want {
			t.Errorf("%q is %q, want %q", c.args, got, want)
		}
	}
}

// parseWords is the filter of a command line.
func parseWords(args []string) (string, error) {
	var opts options
	root := newCommand(run.Environment{})
	root.ResetFlags()
	opts.addFlags(root)
	if err := root.ParseFlags(filterNumbers(root, args)); err != nil {
		return "", err
	}
	config, err := opts.config(root.Flags().Args())
	if err != nil || config.Filter == nil {
		return "none", err
	}
	return config.Filter.String(), nil
}

// normal leaves out what is the same with and without.
func normal(text string) string {
	return strings.NewReplacer("(", "", ")", "", "1 * 4294967295", "4294967295").Replace(text)
}

func TestConfig(t *testing.T) {
	opts := options{transport: transport{asm.Mmap, true}, buffer: 1 << 20, sampleRandom: 7, clock: asm.CoarseClock}
	config, err := opts.config(nil)
	if err != nil {
		t.Fatal(err)
	}
	if config.CPUs < 1 {
		t.Errorf("%d CPUs", config.CPUs)
	}
	config.CPUs = 0
	want := asm.Config{Transport: asm.Mmap, Buffer: 1 << 20, Sample: asm.Sampling{N: 7, Random: true}, Clock: asm.CoarseClock}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("config is %+v, want %+v", config, want)
	}
	opts = options{files: []string{"f"}, sample: 3}
	if config, err = opts.config([]string{"arp"}); err != nil || !config.Replay || config.Transport != asm.Perf || config.Sample.N != 3 {
		t.Errorf("config of a file is %+v, %v", config, err)
	}
	opts.engine = run.Engines()[1]
	if config, err = opts.config([]string{"arp"}); err != nil || !config.Replay || config.Transport != asm.Ringbuf || config.Sample.N != 3 {
		t.Errorf("config of a file is %+v, %v", config, err)
	}
}

// TestCaret has somebody look at stderr.
func TestCaret(t *testing.T) {
	nowhere()
	terminal, screen := termtest.Open(t)
	if status := execute([]string{"tcp", "port", "htpt"}, run.Environment{Stderr: terminal}); status != exitUsage {
		t.Errorf("status %d", status)
	}
	var said string
	for want := 3; strings.Count(said, "\n") < want; {
		buffer := make([]byte, 1000)
		time.AfterFunc(5*time.Second, func() { screen.Close() })
		n, err := screen.Read(buffer)
		if said += string(buffer[:n]); err != nil {
			break
		}
	}
	want := "xdplog: tcp port htpt: unknown port name \"htpt\", did you mean \"http\"?\ntcp port htpt\n         ^\n"
	if got := strings.ReplaceAll(said, "\r", ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
