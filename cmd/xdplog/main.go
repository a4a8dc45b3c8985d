// Command xdplog reports the source of every packet that an interface
// receives, from XDP.
//
// Here is the command line alone: what is typed becomes options, and what went
// wrong one line and an exit status. A command line that makes no sense is
// refused before anything is opened, with what to write instead. Everything that
// is done then is in a room of its own, in internal: a run, the check, the demo.
// Those know no flags and print no advice; this imports all of them, and none of
// them this.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/notify"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// Before anything is attached, so that no signal leaves a program behind.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup asks
		signal.Notify(signals, syscall.SIGHUP)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	release := make(chan os.Signal, 1)
	signal.Notify(release, syscall.SIGUSR2)
	// Writing to a closed pipe on descriptor 1 or 2 would kill a Go program
	// that has not asked for SIGPIPE. Asked for, it is an error of the write.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	os.Exit(execute(os.Args[1:], run.Environment{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, Asked: asked, Release: release, Renounce: run.Renounce,
		Notify: func(state string) error { return notify.Send(os.Getenv(notify.Socket), state) },
	}))
}

// execute runs a command line and returns the exit status. What went wrong is one
// line on stderr.
func execute(args []string, env run.Environment) int {
	terminal := term.IsTerminal(env.Stderr)
	messages := &format.Messages{To: term.NewPatientWriter(env.Stderr)}
	env.Stderr = messages
	command := newCommand(env)
	command.PersistentPreRun = func(cmd *cobra.Command, _ []string) { structure(messages, cmd) }
	forgive(command, args)
	command.SetArgs(filterNumbers(command, args))
	cmd, err := command.ExecuteC()
	err = explainCount(advise(err, namedInterfaces(cmd)), args)
	if err == nil {
		return exitOK
	}
	if messages.JSON = false; !errors.As(err, new(usageError)) { // which is for whoever types it
		structure(messages, cmd)
	}
	fmt.Fprintf(messages, "%s%s\n", format.Fault, strings.ReplaceAll(err.Error(), "\n", " "))
	if terminal && !messages.JSON {
		io.WriteString(env.Stderr, caret(err))
	}
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// structure has messages be objects where a command's output is.
func structure(messages *format.Messages, cmd *cobra.Command) {
	given := func(name string) any {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			return flag.Value
		}
		return nil
	}
	switch output := given("output").(type) {
	case value[format.Kind]:
		messages.JSON = output.target.Machine
	case value[string]:
		messages.JSON = *output.target == "json"
	}
	if precision, ok := given("time-precision").(value[string]); ok {
		messages.Micro = *precision.target == "micro"
	}
}

// A usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}
