package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	binaryEnv = "XDPLOG_E2E_BINARY" // path of the command under test
	levelEnv  = "XDPLOG_E2E"        // "required": a skip is a failure
	idleEnv   = "XDPLOG_E2E_IDLE"   // makes this binary a process that does nothing
	needyEnv  = "XDPLOG_E2E_NEEDY"  // makes it lack something, and then become its arguments
)

func init() {
	// Keeps the main thread for the main goroutine: a thread that has gone to
	// another namespace ends with its goroutine, and the main thread can't.
	runtime.LockOSThread()
}

func TestMain(m *testing.M) {
	if os.Getenv(idleEnv) != "" {
		io.Copy(io.Discard, os.Stdin) // until the test closes it
		return
	}
	if root := os.Getenv(containerEnv); root != "" {
		fmt.Fprintln(os.Stderr, "e2e: container:", contain(root)) // it returns only an error
		os.Exit(1)
	}
	if what := os.Getenv(needyEnv); what != "" {
		fmt.Fprintln(os.Stderr, "e2e:", becomeNeedy(what))
		os.Exit(1)
	}
	if directory := os.Getenv(tokenEnv); directory != "" {
		fmt.Fprintln(os.Stderr, "e2e:", becomeDelegated(directory))
		os.Exit(1)
	}
	if path := os.Getenv(figuresEnv); path != "" {
		if err := printFigures(os.Stdout, path); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(1)
		}
		return
	}
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

// run runs the tests, on a command that it builds unless one is given.
func run(m *testing.M) (status int, err error) {
	if os.Getenv(binaryEnv) != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "xdplog-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run it as nobody
		return 0, err
	}
	binary := filepath.Join(dir, "xdplog")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "github.com/xdplog/xdplog/cmd/xdplog")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the command (or name a ready one in %s): %w\n%s", binaryEnv, err, output)
	}
	os.Setenv(binaryEnv, binary)
	return m.Run(), nil
}

// watchSources makes the tests depend on the command's sources. The go command
// answers from its cache as long as the files that a test opened are the same,
// and knows nothing of what TestMain had it build.
var watchSources = sync.OnceFunc(func() {
	if _, err := os.Stat("../go.mod"); err != nil {
		return // there are none
	}
	filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			os.Stat(path) // to be seen to ask is all
		}
		return nil
	})
})

// needed are the capabilities that the tests need, most of them for the lab.
var needed = []struct {
	bit  uint
	name string
}{
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
}

// needPrivilege skips the test where a capability is missing. It is the only
// reason for a test to skip.
func needPrivilege(t testing.TB) {
	t.Helper()
	watchSources()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatalf("ask for capabilities: %v", err)
	}
	var missing []string
	for _, c := range needed {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	switch {
	case missing == nil:
	case os.Getenv(levelEnv) == "required":
		t.Fatalf("%s=required, but this process lacks %s", levelEnv, strings.Join(missing, ", "))
	default:
		t.Skipf("needs %s: run as root", strings.Join(missing, ", "))
	}
}
