package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

func manCommand(env run.Environment) *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "print the manual page, for man -l -",
		Example: "  xdplog man | man -l -",
		Args:    noWords,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := env.Stdout.Write(manual(cmd.Root()))
			return term.OrClosed(err)
		},
	}
}

// manual returns the manual page, in the macros of man(7). Cobra's own
// generator makes a page of every command, knows no names of values, and
// brings a Markdown renderer along: 0.35 MB.
func manual(root *cobra.Command) []byte {
	var p page
	p.macro("TH", strings.ToUpper(root.Name()), "1", "", root.Name(), "User Commands")
	p.macro("SH", "NAME")
	p.text(root.Name() + " - " + root.Short)
	p.macro("SH", "SYNOPSIS")
	p.synopsis(root)
	for _, cmd := range commandsOf(root) {
		p.macro("br")
		p.synopsis(cmd)
	}
	p.macro("SH", "DESCRIPTION")
	p.text(root.Long)
	p.macro("SH", "OPTIONS")
	p.flags(root)
	p.macro("SH", "COMMANDS")
	for _, cmd := range commandsOf(root) {
		p.command(cmd)
	}
	if root.HasExample() {
		p.macro("SH", "EXAMPLES")
		p.text(root.Example)
	}
	p.macro("SH", "EXIT STATUS")
	for _, status := range []struct{ number, meaning string }{
		{"0", "It ended as asked: by a signal, --limit, --duration, or because nobody reads its output any more."},
		{"1", "It failed, and one line on standard error says why."},
		{"2", "The command line makes no sense, and one line on standard error says why."},
	} {
		p.macro("TP")
		p.macro("B", status.number)
		p.text(status.meaning)
	}
	p.macro("SH", "SIGNALS")
	for _, signal := range []struct{ names, meaning string }{
		{"SIGINT, SIGTERM, SIGQUIT, SIGHUP", "End the run. A second one ends it while it still writes."},
		{"SIGUSR1", "Prints the counters on standard error, and goes on."},
		{"SIGUSR2", "With --keep, writes the packets that are kept, and goes on."},
	} {
		p.macro("TP")
		p.macro("B", signal.names)
		p.text(signal.meaning)
	}
	p.macro("SH", "SEE ALSO")
	p.text("tcpdump(8), pcap-filter(7), ip-link(8), capabilities(7), bpf(2)")
	return p.b
}

// commandsOf is the commands that --help shows.
func commandsOf(root *cobra.Command) []*cobra.Command {
	var commands []*cobra.Command
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			commands = append(commands, cmd)
		}
	}
	return commands
}

// A page is text in the macros of man(7).
type page struct{ b []byte }

// macro calls a macro, its arguments quoted.
func (p *page) macro(name string, arguments ...string) {
	p.b = append(p.b, "."+name...)
	for _, argument := range arguments {
		p.b = append(p.b, ` "`+strings.ReplaceAll(escapeRoff(argument), `"`, `\(dq`)+`"`...)
	}
	p.b = append(p.b, '\n')
}

// text adds paragraphs. Lines that are indented stay as they are.
func (p *page) text(text string) {
	verbatim := false
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		line = strings.TrimRight(line, "\n")
		if indented := strings.HasPrefix(line, " "); indented != verbatim {
			verbatim = indented
			p.macro(map[bool]string{true: "nf", false: "fi"}[verbatim])
		}
		if line == "" {
			p.macro("PP")
			continue
		}
		// A dot or an apostrophe at the start of a line would be a macro.
		p.b = append(p.b, `\&`+escapeRoff(line)+"\n"...)
	}
	if verbatim {
		p.macro("fi")
	}
}

func escapeRoff(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

func (p *page) synopsis(cmd *cobra.Command) {
	name := cmd.CommandPath()
	p.macro("B", name)
	if rest := strings.TrimSpace(strings.TrimPrefix(cmd.UseLine(), name)); rest != "" {
		p.text(rest)
	}
}

func (p *page) command(cmd *cobra.Command) {
	p.macro("SS", strings.TrimPrefix(cmd.UseLine(), cmd.Root().Name()+" "))
	about := cmd.Long
	if about == "" {
		about = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	}
	p.text(about)
	p.flags(cmd)
	if cmd.HasExample() {
		p.macro("PP")
		p.text(cmd.Example)
	}
}

func (p *page) flags(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden || flag.Name == "help" && cmd.HasParent() {
			return
		}
		p.macro("TP")
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = fmt.Sprintf("-%s, %s", flag.Shorthand, name)
		}
		kind, about := pflag.UnquoteUsage(flag)
		p.macro("BI", name, strings.TrimRight(" "+kind, " "))
		p.text(about)
	})
}
