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

// TestReadme builds and runs the program that the README shows, which is the
// one that the documentation of package reader shows.
func TestReadme(t *testing.T) {
	readme := section(t, "../README.md", "```go\n", "```")
	example := section(t, "../reader/example_test.go", "func Example() {\n", "\n}\n")
	if want := strings.ReplaceAll("\n"+example, "\n\t", "\n"); strings.TrimSpace(readme) != strings.TrimSpace(want) {
		t.Fatalf("the README shows\n%s\nand the example is\n%s", readme, want)
	}
	if lines := strings.Count(readme, "\n"); lines > 15 {
		t.Errorf("the README's program has %d lines, want 15 at most", lines)
	}

	binary := embedding(t, "../reader/example_test.go", "Example")

	lab := newLab(t)
	embedded := launch(t, lab.right, exec.Command(binary)).read()
	lab.awaitProgram(t)
	lab.send(t, frame(ethernet(eth4), ipv4(protoUDP), udp(40000, 53)))
	if line, want := embedded.line(t), "198.51.100.7:40000 192.0.2.2:53"; !strings.HasSuffix(line, want) {
		t.Errorf("it says %q, want it to end in %q", line, want)
	}
	embedded.signal(t, unix.SIGINT)
	if r := embedded.wait(t); r.status != 0 || r.stderr != "" {
		t.Errorf("exit status %d after SIGINT, and %q; want 0 and silence", r.status, r.stderr)
	}
}

// TestEmbedding builds and runs the program that docs/embedding.md shows.
func TestEmbedding(t *testing.T) {
	shown := section(t, "../docs/embedding.md", "```go\n", "```")
	if source, err := os.ReadFile("../reader/example_sources_test.go"); err != nil || !strings.HasSuffix(string(source), "\n"+shown) {
		t.Errorf("the page does not show the example (%v):\n%s", err, shown)
	}
	binary := embedding(t, "../reader/example_sources_test.go", "Example_countSources")
	lab := newLab(t)
	embedded := launch(t, lab.right, exec.Command(binary)).read()
	lab.awaitProgram(t)
	attempt, answer := syn(40000, 443), syn(40000, 443)
	answer.ACK = true
	for _, segment := range []*layers.TCP{attempt, answer, attempt} {
		lab.send(t, frame(ethernet(eth4), ipv4(layers.IPProtocolTCP), segment))
	}
	time.Sleep(100 * time.Millisecond) // until veth has delivered what was sent
	embedded.signal(t, unix.SIGINT)
	end := embedded.wait(t)
	if want := []string{"2 198.51.100.7", "0 not seen in time"}; end.status != 0 || !slices.Equal(end.lines, want) {
		t.Errorf("exit status %d, it says %q, want %q:\n%s", end.status, end.lines, want, end.stderr)
	}
	lab.wantNoProgram(t)
}

// TestEmbeddingRecord builds and runs the other program that docs/embedding.md
// shows, and reads what it wrote.
func TestEmbeddingRecord(t *testing.T) {
	page, err := os.ReadFile("../docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../reader/example_record_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(source), "func Example_record()")
	if !strings.Contains(string(page), "```go\nfunc Example_record()"+shown+"```") {
		t.Error("the page does not show the example")
	}
	binary := embedding(t, "../reader/example_record_test.go", "Example_record")
	lab := newLab(t)
	cmd := exec.Command(binary)
	cmd.Dir = t.TempDir()
	embedded := launch(t, lab.right, cmd).read()
	lab.awaitProgram(t)
	sent := frame(ethernet(eth4), ipv4(protoUDP), udp(40000, 53), gopacket.Payload("bytes"))
	lab.send(t, sent)
	time.Sleep(100 * time.Millisecond) // until veth has delivered what was sent
	embedded.signal(t, unix.SIGINT)
	if end := embedded.wait(t); end.status != 0 || end.stderr != "" {
		t.Fatalf("exit status %d, it says %q", end.status, end.stderr)
	}
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
	lab.wantNoProgram(t)
}

// embedding builds the program of an example that is a file of its own, for
// the interface of the lab.
func embedding(t *testing.T, path, name string) (binary string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := strings.NewReplacer(
		"package reader_test", "package main", "func "+name+"()", "func main()", `"eth0"`, `"`+right(0)+`"`,
	).Replace(string(source))
	main, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "embedded")
	if err := os.WriteFile(main, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, main)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program of %s: %v\n%s", path, err, output)
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
