package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a kernel's files are in its folder of the cache.
const (
	vmlinuz   = "vmlinuz"
	moduleDir = "modules2" // the number goes up with moduleFolders, so that what lacks some is fetched again
	initrd    = "initrd"
	console   = "console.log"
)

// limit bounds a kernel's run. Under emulation all tests take a quarter of an
// hour, the quick ones some two minutes.
const limit = 40 * time.Minute

// A suite is a package whose tests run in the guests.
type suite struct {
	dir  string // in the repository
	skip string // tests that need what no guest has, as in -test.skip
	long string // tests that a quick run leaves out
}

// suites are what runs: from the program to the command.
var suites = []suite{
	{
		dir:  "asm",
		skip: "^TestMutants$", // minutes even where nothing is emulated
		long: "^TestFilterLarge$|^TestFilterLists$|^TestEveryFixtureAtEverySplit$",
	},
	{
		dir:  "reader",
		skip: "^TestHotLoop$", // asks the Go toolchain
		long: "AllocatesNothing$|^TestRingbufLong$",
	},
	{dir: "reader/live"},
	{dir: "loader", long: "^TestNothingLeaks$|^TestSimultaneousStarts$"},
	{
		dir:  "e2e",
		skip: "^Test(Readme|Embedding|EmbeddingRecord|RightsUnderCgo)$", // builds with the Go toolchain
		long: "^TestSuspended$|^TestKilledAnytime$|^TestFootprint$|^TestDemoInterrupted$|^TestInterruptedStart$|^TestFollowUnderLoad$|^TestBesideXDPTools$|^TestBesideBpfman$",
	},
}

// A choice says which tests to run.
type choice struct {
	only  string // those whose names match this regular expression
	quick bool   // none of the long ones

	interpreted bool // programs are not compiled, where the kernel can do without
	cpus        int
	count       bool // of instructions, in the place of time
}

// arguments are those of a test binary.
func (c choice) arguments(s suite) string {
	skip := s.skip
	if c.quick {
		skip = strings.Trim(skip+"|"+s.long, "|")
	}
	args := fmt.Sprintf("-test.v -test.short -test.timeout=%v", limit)
	if c.only != "" {
		args += " -test.run=" + c.only
	}
	if skip != "" {
		args += " -test.skip=" + skip
	}
	return args
}

// environment is that of the tests. They compare the program with the oracle
// over fewer packets than elsewhere.
var environment = []string{
	"PATH=/", "TMPDIR=/tmp", "HOME=/tmp",
	"XDPLOG_E2E_BINARY=/xdplog", "XDPLOG_E2E_MACHINE=own", "XDPLOG_E2E_OFFLINE=1", "XDPLOG_FUZZ_PACKETS=20000", "XDPLOG_FUZZ_PAIRS=1000",
	"XDPLOG_XDP_TOOLS=" + toolsDir,
}

// killsEnv is how often tests kill xdplog: see package e2e. Guests are told as the runner is.
const killsEnv = "XDPLOG_E2E_KILLS"

// build compiles all that the guests of an architecture run: static files each.
func build(dir, arch string) error {
	commands := [][]string{
		{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "xdplog"), "./cmd/xdplog"},
		{"build", "-buildvcs=false", "-o", filepath.Join(dir, "init"), "./e2e/kernels/init"},
	}
	for _, s := range suites {
		commands = append(commands, []string{"test", "-c", "-o", filepath.Join(dir, s.dir+".test"), "./" + s.dir})
	}
	for _, args := range commands {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, said)
		}
	}
	return nil
}

// pack writes the files of a guest: what was built, a kernel's modules, and others' programs.
func pack(built, cache string, k kernel, tests choice) error {
	kernelDir, m := folder(cache, k), k.machine
	var files archive
	var jobs strings.Builder
	for _, s := range suites {
		at := "/src/" + s.dir
		if err := files.copy(at+"/test", filepath.Join(built, s.dir+".test")); err != nil {
			return err
		}
		if err := files.copyAll(at+"/testdata", filepath.Join(s.dir, "testdata")); err != nil {
			return err
		}
		fmt.Fprintln(&jobs, at, "./test", tests.arguments(s))
	}
	for _, name := range []string{"init", "xdplog"} {
		if err := files.copy("/"+name, filepath.Join(built, name)); err != nil {
			return err
		}
	}
	loads, err := findModules(filepath.Join(kernelDir, moduleDir))
	if err != nil {
		return err
	}
	drivers := slices.Clone(busModules)
	for _, c := range m.cards() {
		drivers = append(drivers, c.module)
	}
	for i, module := range slices.Concat(modules, extraModules, drivers) {
		there, err := loads.add(module)
		if err == nil && !there && i < len(modules) {
			err = fmt.Errorf("the kernel has no module %s", module)
		}
		if err != nil {
			return err
		}
	}
	for i, name := range loads.names {
		files.add("/modules/"+name+".ko", 0o644, loads.loads[i])
	}
	if k.machine.arch == amd64.arch {
		if err := addTools(&files, cache); err != nil {
			return err
		}
	}
	jit := "1" // Debian leaves it off on some machines
	if tests.interpreted {
		jit = "0"
	}
	files.add("/jit", 0o644, []byte(jit))
	files.add("/jobs", 0o644, []byte(jobs.String()))
	variables := append(slices.Clone(environment), m.cardEnvironment())
	if times := os.Getenv(killsEnv); times != "" {
		variables = append(variables, killsEnv+"="+times)
	}
	files.add("/environment", 0o644, []byte(strings.Join(variables, "\n")))

	out, err := os.Create(filepath.Join(kernelDir, initrd))
	if err != nil {
		return err
	}
	defer out.Close()
	return files.writeTo(out)
}

// boot runs a guest to its end, and returns what its console said, which is
// kept beside the kernel, too.
func (m machine) boot(emulator []string, kernelDir string, cpus int) (*report, error) {
	log, err := os.Create(filepath.Join(kernelDir, console))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := slices.Concat(emulator[1:], m.args, m.cardArguments(), m.clockArguments(cpus))
	cmd := exec.CommandContext(ctx, emulator[0], append(args,
		"-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", filepath.Join(kernelDir, vmlinuz), "-initrd", filepath.Join(kernelDir, initrd),
		// Warnings would end up in the middle of the tests' lines: init tells them.
		"-append", "console="+m.console+" quiet loglevel=1 panic=-1 mitigations=off no_timer_check random.trust_cpu=on")...)
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	start := cmd.Start
	if m.taps {
		start = func() error { return startAmidTaps(cmd) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("start QEMU (package qemu-system-x86, -arm, -ppc or -misc): %w", err)
	}
	r, readErr := parse(io.TeeReader(output, log))
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("not done after %v", limit)
	case err != nil:
		return r, fmt.Errorf("QEMU: %w", err)
	default:
		return r, readErr
	}
}

// clockArguments are CPUs, and what drives them. Where the clock counts instructions there is one
// CPU, and who waits for a timer waits for nothing.
func (m machine) clockArguments(cpus int) []string {
	if m.counts {
		return []string{"-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,sleep=off"}
	}
	return []string{"-accel", m.accelerator(), "-smp", strconv.Itoa(cpus)}
}

// accelerator is KVM where the host has it. A /dev/kvm alone says nothing: on
// some hosts it is there, and guests crawl.
//
// Without it, the CPUs of an x86 guest take turns on one thread. On one each, a
// CPU may run code that another one has just patched as it was in the middle of
// that, a breakpoint, of which the kernel then knows nothing: "Oops: int3". Linux
// patches the XDP dispatcher whenever a program comes or goes.
func (m machine) accelerator() string {
	x86 := m.arch == "amd64" || m.arch == "386"
	if m.arch != runtime.GOARCH && !(x86 && runtime.GOARCH == "amd64") {
		return "tcg"
	}
	for _, module := range []string{"kvm_intel", "kvm_amd"} {
		if _, err := os.Stat("/sys/module/" + module); err == nil {
			if file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err == nil {
				file.Close()
				return "kvm"
			}
		}
	}
	if x86 {
		return "tcg,thread=single"
	}
	return "tcg"
}
