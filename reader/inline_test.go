package reader

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hot are the functions that run for each event, and what must be inlined in them:
// a call costs about as much as the rest of it does.
var hot = map[string][]string{
	"(*Event).set": {
		"(*stamp).passed", "time.Unix", "netip.AddrFrom4", "netip.AddrFrom16", "netip.AddrPortFrom",
		"wire.(*Record).Slot", "wire.(*Record).Length", "wire.(*Record).VLAN", "wire.(*Record).Tags",
		"wire.(*Record).Segments", "wire.(*Record).Direction", "wire.(*Record).Verdict",
	},
	"(*mmapSource).take":    {"(*ring).waiting", "batch.len"},
	"(*packetSource).take":  {"(*packetRing).waiting", "batch.len", "batch.event"},
	"(*ringbufSource).read": {"batch.len", "batch.event"},
	"(*perfSource).read":    {"batch.len", "batch.event", "wire.(*Record).Packet"},
	"batch.set":             nil,
	"(*stamp).another":      {"time.Unix"},
}

// cold is what those functions may put on the heap: the memory of packets, once for a reader.
var cold = regexp.MustCompile(`^make\(\[\]byte, 1048576\) escapes to heap$`)

// TestHotLoop asks the compiler what became of the functions that run for each
// event: nothing in them is put on the heap, and what is small is inlined.
func TestHotLoop(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("atomics of 64 bits are calls on this machine, which nothing is inlined with")
	}
	output, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	said := regexp.MustCompile(`(?m)^(?:\./)?(?:reader/)?(\w+\.go):(\d+):\d+: (.*)$`).FindAllStringSubmatch(string(output), -1)
	found := 0
	for _, f := range functions(t) {
		inlined, ok := hot[f.name]
		if !ok {
			continue
		}
		found++
		missing := make(map[string]bool)
		for _, name := range inlined {
			missing[name] = true
		}
		for _, message := range said {
			line, _ := strconv.Atoi(message[2])
			if message[1] != f.file || line < f.from || line > f.to {
				continue
			}
			if call, ok := strings.CutPrefix(message[3], "inlining call to "); ok {
				delete(missing, call)
			}
			heap := strings.Contains(message[3], "moved to heap") || strings.HasSuffix(message[3], "escapes to heap")
			if heap && !cold.MatchString(message[3]) {
				t.Errorf("%s allocates: %s", f.name, message[0])
			}
		}
		for name := range missing {
			t.Errorf("%s calls %s, which was inlined once", f.name, name)
		}
	}
	if found != len(hot) {
		t.Errorf("%d of %d functions were found", found, len(hot))
	}
}

// function is where one is declared.
type function struct {
	name     string // as the compiler calls it
	file     string
	from, to int // lines
}

func functions(t *testing.T) (all []function) {
	t.Helper()
	files := token.NewFileSet()
	for _, file := range []string{"clock.go", "event.go", "mmap.go", "mmap_packets.go", "perf.go", "ringbuf.go", "source.go"} {
		parsed, err := parser.ParseFile(files, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				switch of := f.Recv.List[0].Type.(type) {
				case *ast.StarExpr:
					name = "(*" + of.X.(*ast.Ident).Name + ")." + name
				case *ast.Ident:
					name = of.Name + "." + name
				}
			}
			all = append(all, function{name, file, files.Position(f.Pos()).Line, files.Position(f.End()).Line})
		}
	}
	return all
}
