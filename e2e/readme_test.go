package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// TestReadme builds the program that the README shows as it stands, which is the
// one that the documentation of package live shows, and runs it to each of its
// ends.
func TestReadme(t *testing.T) {
	shown := section(t, "../README.md", "```go\n", "```")
	example := section(t, "../reader/live/example_test.go", "func Example() {\n", "\n}\n")
	if !strings.HasSuffix(shown, "func main() {\n"+example+"\n}\n") {
		t.Fatalf("the README shows\n%s\nand the example is\n%s", shown, example)
	}
	if lines := strings.Count(example, "\n") + 1; lines > 15 {
		t.Errorf("the README's program has %d lines, want 15 at most", lines)
	}
	binary := buildProgram(t, shown)

	for name, end := range programEnds {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t)
			embedded := launch(t, lab.right, exec.Command(binary)).read()
			lab.awaitProgram(t)
			lab.send(t, frame(ethernet(eth4), ipv4(protoUDP), udp(40000, 53)))
			if line, want := embedded.line(t), "198.51.100.7:40000 192.0.2.2:53"; line != want {
				t.Errorf("it says %q, want %q", line, want)
			}
			end(t, lab, embedded)
		})
	}
}

// programEnds are the ways in which an embedding program ends, and what it must
// do then.
var programEnds = map[string]func(*testing.T, *lab, *process){
	"SIGINT":  func(t *testing.T, lab *lab, p *process) { endsAt(t, lab, p, unix.SIGINT) },
	"SIGTERM": func(t *testing.T, lab *lab, p *process) { endsAt(t, lab, p, unix.SIGTERM) },
	"the interface is deleted": func(t *testing.T, lab *lab, p *process) {
		lab.remove(t, right(0))
		if end := p.wait(t); end.status != 1 || !strings.Contains(end.stderr, "interface "+right(0)+" is gone (deleted)") {
			t.Errorf("exit status %d, and %q; want 1 and the reason", end.status, end.stderr)
		}
	},
	"somebody takes it off": func(t *testing.T, lab *lab, p *process) {
		lab.strip(t, "native")
		if end := p.wait(t); end.status != 1 || !strings.Contains(end.stderr, "taken off from outside") {
			t.Errorf("exit status %d, and %q; want 1 and the reason", end.status, end.stderr)
		}
		lab.wantNoProgram(t)
	},
}

// endsAt ends a program by a signal, after which it must be silent and leave
// nothing.
func endsAt(t *testing.T, lab *lab, p *process, signal unix.Signal) {
	t.Helper()
	p.signal(t, signal)
	if end := p.wait(t); end.status != 0 || end.stderr != "" {
		t.Errorf("exit status %d after %v, and %q; want 0 and silence", end.status, signal, end.stderr)
	}
	lab.wantNoProgram(t)
}

// TestEmbedding builds and runs the program that docs/embedding.md shows.
func TestEmbedding(t *testing.T) {
	shown := section(t, "../docs/embedding.md", "```go\n", "```")
	if source, err := os.ReadFile("../reader/live/example_sources_test.go"); err != nil || !strings.HasSuffix(string(source), "\n"+shown) {
		t.Errorf("the page does not show the example (%v):\n%s", err, shown)
	}
	binary := embedding(t, "../reader/live/example_sources_test.go", "Example_countSources")
	start := func(t *testing.T) (*lab, *process) {
		lab := newLab(t)
		embedded := launch(t, lab.right, exec.Command(binary)).read()
		lab.awaitProgram(t)
		return lab, embedded
	}
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			lab, embedded := start(t)
			attempt, answer := syn(40000, 443), syn(40000, 443)
			answer.ACK = true
			for _, segment := range []*layers.TCP{attempt, answer, attempt} {
				lab.send(t, frame(ethernet(eth4), ipv4(layers.IPProtocolTCP), segment))
			}
			time.Sleep(100 * time.Millisecond) // until veth has delivered what was sent
			embedded.signal(t, signal)
			end := embedded.wait(t)
			if want := []string{"2 198.51.100.7", "0 not seen in time"}; end.status != 0 || !slices.Equal(end.lines, want) {
				t.Errorf("exit status %d, it says %q, want %q:\n%s", end.status, end.lines, want, end.stderr)
			}
			lab.wantNoProgram(t)
		})
	}
	t.Run("the interface is deleted", func(t *testing.T) {
		lab, embedded := start(t)
		programEnds["the interface is deleted"](t, lab, embedded)
	})
}

// TestEmbeddingRecord builds and runs the other program that docs/embedding.md
// shows, and reads what it wrote.
func TestEmbeddingRecord(t *testing.T) {
	page, err := os.ReadFile("../docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../reader/live/example_record_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(source), "func Example_record()")
	if !strings.Contains(string(page), "```go\nfunc Example_record()"+shown+"```") {
		t.Error("the page does not show the example")
	}
	binary := embedding(t, "../reader/live/example_record_test.go", "Example_record")
	for name, end := range programEnds {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t)
			cmd := exec.Command(binary)
			cmd.Dir = t.TempDir()
			embedded := launch(t, lab.right, cmd).read()
			lab.awaitProgram(t)
			sent := frame(ethernet(eth4), ipv4(protoUDP), udp(40000, 53), gopacket.Payload("bytes"))
			lab.send(t, sent)
			time.Sleep(100 * time.Millisecond) // until veth has delivered what was sent
			end(t, lab, embedded)
			file, err := os.Open(filepath.Join(cmd.Dir, "packets.pcapng"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			packets, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
			if err != nil {
				t.Fatal(err)
			}
			if data, _, err := packets.ReadPacketData(); err != nil || !bytes.Equal(data, sent) {
				t.Errorf("the file has %x, %v; want %x", data, err, sent)
			}
		})
	}
}

// embedding builds the program of an example that is a file of its own.
func embedding(t *testing.T, path, name string) (binary string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return buildProgram(t, strings.NewReplacer("package live_test", "package main", "func "+name+"()", "func main()").Replace(string(source)))
}

// buildProgram builds a program for the interface of the lab in place of eth0.
func buildProgram(t *testing.T, source string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	main, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "embedded")
	if err := os.WriteFile(main, []byte(strings.ReplaceAll(source, `"eth0"`, `"`+right(0)+`"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, main)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, output)
	}
	return binary
}

// section is the text of a file between two marks.
func section(t *testing.T, path, begin, end string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), begin)
	inside, _, closed := strings.Cut(after, end)
	if !found || !closed {
		t.Fatalf("%s has no section between %q and %q", path, begin, end)
	}
	return inside
}
