// Command init is process 1 of a guest that holds nothing but tests. It mounts
// what they need, runs them one after the other, says how each ended, and has
// the machine restart, which ends QEMU.
//
// The runner, which makes the guest's files, leaves /modules, kernel modules
// to load; /jit, which says whether the kernel compiles BPF programs (1) or
// interprets them (0); /environment, one NAME=VALUE a line; and /jobs, one command a
// line, the directory to run it in first. All that is said here is on the console,
// in lines that begin with "guest: "; the last is "guest: done".
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is process 1 of a guest and nothing else")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Println("guest: failed:", err)
	} else {
		fmt.Println("guest: done")
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func run() error {
	if err := mount(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := sayKernel(); err != nil {
		return err
	}
	if err := setCompiler(); err != nil {
		return err
	}
	environment, err := lines("/environment")
	if err != nil {
		return err
	}
	jobs, err := lines("/jobs")
	if err != nil {
		return err
	}
	for _, job := range jobs {
		words := strings.Fields(job)
		fmt.Println("guest: job", words[0])
		status, err := do(words[0], words[1:], environment)
		if err != nil {
			return fmt.Errorf("run %s: %w", words[1], err)
		}
		fmt.Println("guest: status", status)
	}
	return complaints()
}

func mount() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"devpts", "/dev/pts"},
		{"tmpfs", "/tmp"},
		{"tmpfs", "/run"},
		{"cgroup2", "/sys/fs/cgroup"},
		{"bpf", "/sys/fs/bpf"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return os.Chmod("/tmp", 0o1777)
}

func loadModules() error {
	// Else modules of tunnels make one in every namespace.
	if err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("1"), 0o644); err != nil {
		return err
	}
	modules, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	// Some depend on others: as long as one can be loaded, the rest is tried again.
	for len(modules) > 0 {
		var later []string
		var failed error
		for _, module := range modules {
			if err := loadModule(module); errors.Is(err, unix.ENOENT) { // it misses a symbol
				later, failed = append(later, module), err
			} else if err != nil {
				return err
			}
		}
		if len(later) == len(modules) {
			return failed
		}
		modules = later
	}
	return nil
}

func loadModule(module string) error {
	file, err := os.Open(module)
	if err != nil {
		return err
	}
	defer file.Close()
	// Else these make interfaces in every namespace.
	parameters := map[string]string{"bonding.ko": "max_bonds=0", "dummy.ko": "numdummies=0", "ifb.ko": "numifbs=0"}[filepath.Base(module)]
	err = unix.FinitModule(int(file.Fd()), parameters, 0)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EEXIST) { // for other CPUs, or built in
		return nil
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", module, err)
	}
	return nil
}

// sayKernel says what runs, in the words of its distribution, which numbers
// its kernels otherwise than uname -r does.
func sayKernel() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	fmt.Println() // the line that firmware has begun may have no end
	fmt.Println("guest: kernel", unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:]))
	return nil
}

// setCompiler has the kernel compile BPF programs or interpret them, and says which
// it does. Some can do only the one or the other.
func setCompiler() error {
	const setting = "/proc/sys/net/core/bpf_jit_enable"
	wanted, err := os.ReadFile("/jit")
	if err != nil {
		return err
	}
	err = os.WriteFile(setting, wanted, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("guest: programs interpreted, for this kernel has no compiler")
		return nil
	}
	if err != nil && !errors.Is(err, unix.EINVAL) { // it has no interpreter
		return err
	}
	set, err := os.ReadFile(setting)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(set)) == "0" {
		fmt.Println("guest: programs interpreted")
	} else {
		fmt.Println("guest: programs compiled")
	}
	return nil
}

// do runs a command and returns its exit status, or 128 and the signal's
// number. Meanwhile it collects orphans, which come to process 1.
func do(dir string, command, environment []string) (int, error) {
	process, err := os.StartProcess(command[0], command, &os.ProcAttr{
		Dir: dir, Env: environment, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, err
	}
	for {
		var status unix.WaitStatus
		switch pid, err := unix.Wait4(-1, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case pid != process.Pid:
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		default:
			return status.ExitStatus(), nil
		}
	}
}

// complaints repeats what the kernel has warned of since it started.
func complaints() error {
	file, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	record := make([]byte, 1<<13)
	for {
		// One record a read; the error that ends it says that there is no more.
		n, err := unix.Read(int(file.Fd()), record)
		switch {
		case err == unix.EPIPE: // overwritten meanwhile
			continue
		case err != nil:
			return nil
		}
		_, text, _ := strings.Cut(string(record[:n]), ";")
		text, _, _ = strings.Cut(text, "\n")
		for _, word := range []string{"WARNING: ", "BUG: ", "INFO: ", "Oops", "verifier bug"} {
			if strings.Contains(text, word) {
				fmt.Println("guest: kernel said", text)
			}
		}
	}
}

func lines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
}
