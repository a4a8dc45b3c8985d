package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/loader"
)

const checkLong = `Says whether this machine can run xdplog, and if not, why and what to do: one line
for each fact. It changes nothing, and attaches only to an interface of its own,
in a network namespace of its own. What it may not ask, it calls unknown: as root
it knows most.

The exit status is 0 if xdplog would work on the interfaces, as far as is known,
and 1 if a fact that is marked as required says no.`

func checkCommand(env run.Environment) *cobra.Command {
	var interfaces []string
	var namespace, output string
	cmd := &cobra.Command{
		Use:   "check [-i NAME] [-o FORMAT]",
		Short: "say whether it works here, and why not",
		Long:  checkLong,
		Args:  noWords,
		RunE: func(*cobra.Command, []string) error {
			return check(interfaces, namespace, output, env.Stdout)
		},
	}
	addInterface(cmd, list(&interfaces), "interface, repeatable (default: the default route's)")
	addNamespace(cmd, &namespace)
	formats := []string{"text", "json"}
	cmd.Flags().VarP(value[string]{&output, oneOfWords(formats), "FORMAT"}, "output", "o", "text (default), json")
	complete(cmd, "output", func() []string { return formats })
	return cmd
}

// oneOfWords parses one of some words.
func oneOfWords(words []string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, word := range words {
			if s == word {
				return s, nil
			}
		}
		return "", fmt.Errorf("must be one of %s", strings.Join(words, ", "))
	}
}

// A verdict is what is known of a fact.
type verdict string

const (
	yes     verdict = "ok"
	no      verdict = "no"
	unknown verdict = "unknown" // it may not be asked, or there is no answer
)

// A fact is something of this machine that matters to xdplog.
type fact struct {
	name     string // "capability CAP_BPF"
	verdict  verdict
	required bool   // a run with the default flags fails where it is not so
	found    string // what is the case
	todo     string // what to do about it; "": nothing
}

// A report prints facts as they are found, and keeps the required ones that
// say no.
type report struct {
	to     io.Writer
	append func([]byte, *fact) []byte
	faults []string
}

func (r *report) add(f fact) error {
	if f.required && f.verdict == no {
		r.faults = append(r.faults, f.name)
	}
	_, err := r.to.Write(r.append(nil, &f))
	return err
}

// check finds out everything, and returns an error if something required is missing.
func check(interfaces []string, namespace, output string, to io.Writer) error {
	r := &report{to: to, append: appendFact}
	if output == "json" {
		r.append = appendFactJSON
	}
	facts := machineFacts(namespace)
	if len(interfaces) == 0 {
		name, err := loader.DefaultInterface(namespace)
		if err != nil {
			f := fact{name: "interface", verdict: no, required: true, found: err.Error()}
			if errors.Is(err, loader.ErrNoDefaultRoute) {
				f.todo = "name an interface with -i"
			}
			facts = append(facts, f)
		} else {
			interfaces = []string{name}
		}
	}
	for _, name := range interfaces {
		facts = append(facts, interfaceFacts(name, namespace)...)
	}
	for _, f := range facts {
		if err := r.add(f); err != nil {
			if term.IsClosed(err) {
				return nil
			}
			return fmt.Errorf("check: %w", err)
		}
	}
	if len(r.faults) > 0 {
		return errors.New("it would not work here: see " + strings.Join(r.faults, ", "))
	}
	return nil
}

// appendFact writes a fact as text:
//
//	ok      capability CAP_BPF
//	no      capability CAP_PERFMON (required): missing; run as root, or …
func appendFact(b []byte, f *fact) []byte {
	b = fmt.Appendf(b, "%-8s%s", f.verdict, f.name)
	if f.required && f.verdict != yes {
		b = append(b, " (required)"...)
	}
	if f.found != "" {
		b = append(b, ": "...)
		b = append(b, f.found...)
	}
	if f.todo != "" {
		b = append(b, "; "...)
		b = append(b, f.todo...)
	}
	return append(b, '\n')
}

// appendFactJSON writes a fact as an object on a line.
func appendFactJSON(b []byte, f *fact) []byte {
	b = append(b, `{"event_type":"check","fact":`...)
	b = format.AppendQuoted(b, f.name)
	b = append(b, `,"status":`...)
	b = format.AppendQuoted(b, string(f.verdict))
	b = append(b, `,"required":`...)
	b = strconv.AppendBool(b, f.required)
	if f.found != "" {
		b = append(b, `,"found":`...)
		b = format.AppendQuoted(b, f.found)
	}
	if f.todo != "" {
		b = append(b, `,"todo":`...)
		b = format.AppendQuoted(b, f.todo)
	}
	return append(b, "}\n"...)
}
