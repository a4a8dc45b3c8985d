package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// TestScripts runs the scripts in testdata/script: what the command answers to
// command lines that need no privilege. Beside the commands of [testscript] they
// have
//
//	xdplog ARGUMENT...   a command line; "! xdplog" is one that fails
//	usage TEXT           the last one had status 2, and said TEXT and nothing else
//	fails TEXT           the same of status 1
func TestScripts(t *testing.T) {
	scripts, err := filepath.Abs("testdata/script")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // so that it is undone what Setup does
	testscript.RunT(inOrder{t}, testscript.Params{
		Dir: scripts,
		// The command line is run in this process, which has one directory.
		Setup: func(env *testscript.Env) error { return os.Chdir(env.WorkDir) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"xdplog": xdplog,
			"usage":  refused(exitUsage),
			"fails":  refused(exitFailure),
		},
	})
}

// inOrder runs scripts one after the other, each where there is no interface.
type inOrder struct{ *testing.T }

func (inOrder) Parallel()     {}
func (inOrder) Verbose() bool { return testing.Verbose() }
func (t inOrder) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) {
		nowhere()
		f(inOrder{t})
	})
}

// statusVariable has the status of the last command line of a script.
const statusVariable = "status"

func xdplog(ts *testscript.TestScript, fails bool, args []string) {
	status := execute(args, run.Environment{Stdout: ts.Stdout(), Stderr: ts.Stderr()})
	ts.Setenv(statusVariable, strconv.Itoa(status))
	if (status != exitOK) != fails {
		ts.Fatalf("exit status %d", status)
	}
}

// refused is the command that expects a status, one line on stderr and nothing on
// stdout.
func refused(want int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, negated bool, args []string) {
		if negated || len(args) != 1 {
			ts.Fatalf("takes one text")
		}
		if status := ts.Getenv(statusVariable); status != strconv.Itoa(want) {
			ts.Fatalf("exit status %s, want %d", status, want)
		}
		if got, want := ts.ReadFile("stderr"), fmt.Sprintf("xdplog: %s\n", args[0]); got != want {
			ts.Fatalf("stderr is\n%swant\n%s", got, want)
		}
		if got := ts.ReadFile("stdout"); got != "" {
			ts.Fatalf("stdout is\n%s", got)
		}
	}
}
