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

// Options say what is checked.
type Options struct {
	Interfaces []string // none: the default route's
	Netns      string   // network namespace of the interfaces; "": this one
	JSON       bool     // an object a line, instead of text
}

// Run finds out everything and writes it, and returns an error if something
// required is missing.
func Run(o Options, to io.Writer) error {
	r := &report{to: to, append: appendFact}
	if o.JSON {
		r.append = appendFactJSON
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
