// Command runner runs the tests of packages asm, reader, live and loader, and those
// of the whole path in e2e, under other kernels than the machine's: Debian's,
// unmodified, in QEMU. It is make kernels; its arguments are the kernels to run
// (5.10, 6.12-arm64: they stand in kernels.go; 6.12-nics has every NIC that QEMU has),
// where there are none the small ones for amd64.
//
// It runs in the repository's root, and needs the Go toolchain, apt, xz and
// QEMU, and no rights. Kernels are kept in the user's cache directory, below
// xdplog-kernels.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

func main() {
	var tests choice
	flag.StringVar(&tests.only, "run", "", "run only the tests that match this regular `expression`")
	flag.BoolVar(&tests.quick, "quick", false, "leave out the tests that take long")
	flag.IntVar(&tests.cpus, "cpus", 2, "how many `CPUs` guests have; with 3, one that is offline may be numbered below others")
	flag.BoolVar(&tests.interpreted, "interpreted", false, "have kernels interpret programs, those that can")
	flag.BoolVar(&tests.count, "icount", false, "have the guest's clock count its instructions, so that a time is how many there were, on any machine and under any load")
	flag.Parse()
	if err := run(flag.Args(), tests); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run(names []string, tests choice) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "xdplog-kernels")
	if err := fetch(cache, chosen); err != nil {
		return err
	}
	if !tests.quick {
		if err := fetchTools(cache, chosen); err != nil {
			return err
		}
	}
	built, err := os.MkdirTemp("", "xdplog-kernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(built)
	for _, k := range chosen {
		if err := build(filepath.Join(built, k.machine.arch), k.machine.arch); err != nil {
			return err
		}
	}
	taps := mayTap()
	for i := range chosen {
		chosen[i].machine.taps = chosen[i].machine.allCards && taps
		chosen[i].machine.counts = tests.count
	}
	emulators := map[string][]string{} // by kernel
	for _, k := range chosen {
		if emulators[k.series], err = k.machine.emulator(cache); err != nil {
			return err
		}
	}
	return runAll(chosen, func(k kernel) error {
		dir := folder(cache, k)
		begin := time.Now()
		if err := pack(filepath.Join(built, k.machine.arch), cache, k, tests); err != nil {
			return fmt.Errorf("make the guest's files: %w", err)
		}
		r, err := k.machine.boot(emulators[k.series], dir, tests.cpus)
		if r == nil {
			return err
		}
		if err != nil {
			r.failures = append(r.failures, err.Error())
		}
		how := fmt.Sprintf("%s, %.0f s", k.machine.accelerator(), time.Since(begin).Seconds())
		return r.print(os.Stdout, k.series, how, filepath.Join(dir, console))
	})
}

// runAll runs kernels, as many at once as there are CPUs: a guest has two, but
// its tests mostly keep one busy.
func runAll(kernels []kernel, run func(kernel) error) error {
	places := make(chan struct{}, runtime.NumCPU())
	errs := make([]error, len(kernels))
	var running sync.WaitGroup
	for i, k := range kernels {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := run(k); err != nil {
				errs[i] = fmt.Errorf("kernel %s: %w", k.series, err)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// folder is where a kernel is in the cache.
func folder(cache string, k kernel) string { return filepath.Join(cache, "linux-"+k.series) }

// fetch gets the kernels that the cache has not.
func fetch(cache string, chosen []kernel) error {
	suites := map[string][]string{} // by architecture, as Debian calls it
	var wanted []kernel
	for _, k := range chosen {
		if !complete(folder(cache, k)) {
			wanted = append(wanted, k)
			suites[k.machine.debian] = append(suites[k.machine.debian], k.suite)
		}
	}
	apts := map[string]*apt{}
	for arch := range suites {
		var err error
		if apts[arch], err = newApt(filepath.Join(cache, "apt-"+arch), arch, suites[arch]); err != nil {
			return err
		}
	}
	for _, k := range wanted {
		dir, err := os.MkdirTemp(cache, "fetch-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // apt downloads as a user of its own
			return err
		}
		if err := apts[k.machine.debian].fetch(k, dir); err != nil {
			return fmt.Errorf("fetch kernel %s: %w", k.series, err)
		}
		if err := os.RemoveAll(folder(cache, k)); err != nil { // one that lacks a module
			return err
		}
		if err := os.Rename(dir, folder(cache, k)); err != nil { // all of it, or none
			return err
		}
	}
	return nil
}
