package asm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	bpf "github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/wire"
)

// shortestRun is the length of the shortest frame that the kernel runs.
const shortestRun = 14

// compiled is a filter in the kernel, and the evaluator that it must agree with.
type compiled struct {
	filter   *filter.Filter
	fast     *filter.Matcher
	spec     *ebpf.CollectionSpec
	program  *ebpf.Program
	counters *ebpf.Map
	matched  uint64 // so far
	inner    bool
}

func parseFilter(t testing.TB, expression string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(expression)
	if err != nil {
		t.Fatalf("parse %q: %v", expression, err)
	}
	return f
}

// loadFilter loads a program, and closes it with the test.
func loadFilter(t testing.TB, expression string, noFrags bool) *compiled {
	t.Helper()
	c, err := newCompiled(Config{Filter: parseFilter(t, expression), NoFrags: noFrags})
	if errors.Is(err, os.ErrPermission) && os.Getenv("XDPLOG_E2E") != "required" {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	t.Cleanup(c.close)
	return c
}

func newCompiled(cfg Config) (*compiled, error) {
	rlimit.RemoveMemlock() // needed before 5.11 only, where the load then says so
	cfg.NoFrags = cfg.NoFrags || !takesFrags()
	spec, err := Program(cfg)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if errors.Is(err, unix.E2BIG) && !cfg.FirstBuffer { // as package loader does
		cfg.FirstBuffer = true
		return newCompiled(cfg)
	}
	if err != nil {
		return nil, err
	}
	c := &compiled{filter: cfg.Filter, fast: cfg.Filter.Matcher(), spec: spec, program: coll.DetachProgram(ProgramName), counters: coll.DetachMap(wire.CountersMap), inner: cfg.Inner}
	coll.Close()
	return c, nil
}

func (c *compiled) close() {
	c.program.Close()
	c.counters.Close()
}

// match is the kernel's verdict on a frame: whether matched grew. Nobody reads
// events, so that every match is one lost.
func (c *compiled) match(frame []byte) (bool, error) {
	if err := testRun(c.program, frame); err != nil {
		return false, err
	}
	matched, err := c.countMatched()
	grown := matched - c.matched
	c.matched = matched
	if err == nil && grown > 1 {
		err = fmt.Errorf("one frame counted as %d matches", grown)
	}
	return grown == 1, err
}

func (c *compiled) countMatched() (matched uint64, err error) {
	perCPU := make([]wire.Counters, ebpf.MustPossibleCPU())
	if err := c.counters.Lookup(uint32(0), perCPU); err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	for _, counters := range perCPU {
		matched += counters.Matched()
	}
	return matched, nil
}

// check compares verdicts on one frame: the kernel's, the evaluator's and the matcher's. first is how much of it the program can
// see: all, but for one that takes no packets of several buffers.
func (c *compiled) check(frame []byte, first int) error {
	got, err := c.match(frame)
	if err != nil {
		return err
	}
	seen := frame[:min(first, len(frame))]
	evaluate, ask := c.filter.Match, c.fast.Match
	if c.inner {
		evaluate, ask = c.filter.MatchInner, c.fast.MatchInner
	}
	if want := evaluate(seen, len(seen)); got != want {
		return fmt.Errorf("%s\nmatches: kernel %v, evaluator %v, on %d bytes\n%s\n%s", c.filter, got, want, len(frame), hex.EncodeToString(frame), c.listing())
	}
	if fast := ask(seen, len(seen)); got != fast {
		return fmt.Errorf("%s\nmatches: kernel %v, matcher %v, on %d bytes\n%s", c.filter, got, fast, len(frame), hex.EncodeToString(frame))
	}
	return nil
}

// listing is the part of the program that is the filter.
func (c *compiled) listing() string {
	var text bytes.Buffer
	if err := Listing(&text, filterPart(c.spec.Programs[ProgramName].Instructions)); err != nil {
		return err.Error()
	}
	return text.String()
}

// filterPart is what stands between the parser and the time stamp, which is
// its last instruction.
func filterPart(insns bpf.Instructions) bpf.Instructions {
	start := slices.IndexFunc(insns, func(ins bpf.Instruction) bool { return ins.Symbol() == string(parsed) })
	end := slices.IndexFunc(insns, func(ins bpf.Instruction) bool { return ins.IsBuiltinCall() && ins.Constant == int64(bpf.FnKtimeGetNs) })
	return insns[start : end+1]
}

// testRun runs a program that lets everything pass.
func testRun(program *ebpf.Program, frame []byte) error {
	verdict, err := testVerdict(program, frame)
	if err == nil && verdict != xdpPass {
		err = fmt.Errorf("verdict %d on %x, want %d", verdict, frame, xdpPass)
	}
	return err
}

// testVerdict is BPF_PROG_TEST_RUN (linux/bpf.h), once and without what comes out:
// ebpf.Program.Run would allocate a buffer for that, a million times.
func testVerdict(program *ebpf.Program, frame []byte) (verdict uint32, err error) {
	attr := struct {
		program, result, sizeIn, sizeOut uint32
		dataIn                           *byte
		_                                [8 - unsafe.Sizeof(uintptr(0))]byte // the kernel's has 64 bits
		dataOut                          uint64
		_                                [12]uint32
	}{program: uint32(program.FD()), sizeIn: uint32(len(frame)), dataIn: unsafe.SliceData(frame)}
	for {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch {
		case errno == unix.EINTR || errno == unix.EAGAIN:
			continue
		case errno != 0:
			return 0, fmt.Errorf("run %d bytes: %w", len(frame), errno)
		}
		return attr.result, nil
	}
}

// environment is a whole number from the environment.
func environment(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// list joins "prefix value" for n values.
func list(n int, separator string, term func(i int) string) string {
	terms := make([]string, n)
	for i := range terms {
		terms[i] = term(i)
	}
	return strings.Join(terms, separator)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 3)) }
