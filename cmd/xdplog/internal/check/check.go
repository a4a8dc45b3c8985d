// Package check is xdplog check: whether a machine and its interfaces can do what
// a run needs, and if not, why and what to do.
//
// What a kernel can do is not told by its version, so it is tried: the program is
// loaded, a reader opened, an attachment made, in a lab of its own. Nothing of the
// machine's is changed. What may not be asked is unknown, which is no fault.
//
// It imports lab, names and term beside it, words, and the library.
package check

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/internal/words"
	"github.com/xdplog/xdplog/loader"
)

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

// Options say what is checked.
type Options struct {
	Interfaces []string // none: the default route's
	Netns      string   // network namespace of the interfaces; "": this one
	JSON       bool     // an object a line, instead of text
}

// Run finds out everything and writes it, and returns an error if something
// required is missing.
func Run(o Options, to io.Writer) error {
	line := appendFact
	if o.JSON {
		line = appendFactJSON
	}
	interfaces, namespace := o.Interfaces, o.Netns
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
	works, fault := conclude(facts, interfaces, namespace)
	if fault == nil {
		facts = append(facts, works)
	}
	for _, f := range facts {
		if _, err := to.Write(line(nil, &f)); err != nil {
			if term.IsClosed(err) {
				return nil
			}
			return fmt.Errorf("check: %w", err)
		}
	}
	return fault
}

// conclude says in a sentence what the facts come to: the command that works, or an
// error with what is to be done first.
func conclude(facts []fact, interfaces []string, namespace string) (works fact, fault error) {
	var missing []string
	first, before := "", ""
	for _, f := range facts {
		if f.verdict == no && strings.HasSuffix(f.name, linkName) {
			before += ", after " + f.todo
		}
		if !f.required || f.verdict != no {
			continue
		}
		missing = append(missing, f.name)
		if first == "" && f.todo != "" {
			first = "; first " + f.todo
		}
		if len(missing) == 1 && f.todo == "" {
			first = ": " + f.found
		}
	}
	if len(missing) > 0 {
		return fact{}, errors.New("it would not work here: see " + strings.Join(missing, ", ") + first)
	}
	command := "xdplog"
	for _, name := range interfaces {
		command += " -i " + quoted(name)
	}
	if namespace != "" {
		command += " --netns " + quoted(namespace)
	}
	return fact{name: "in all", verdict: yes, found: command + " works here" + before}, nil
}

// quoted is a word for a shell.
func quoted(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool {
		return (r < '0' || '9' < r) && (r|0x20 < 'a' || 'z' < r|0x20) && !strings.ContainsRune("-_.:/@", r)
	}) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
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
	b = words.AppendQuoted(b, f.name)
	b = append(b, `,"status":`...)
	b = words.AppendQuoted(b, string(f.verdict))
	b = append(b, `,"required":`...)
	b = strconv.AppendBool(b, f.required)
	if f.found != "" {
		b = append(b, `,"found":`...)
		b = words.AppendQuoted(b, f.found)
	}
	if f.todo != "" {
		b = append(b, `,"todo":`...)
		b = words.AppendQuoted(b, f.todo)
	}
	return append(b, "}\n"...)
}
