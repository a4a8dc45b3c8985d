package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdplog/xdplog/asm"
	"github.com/xdplog/xdplog/asm/wire"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/format"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/loader"
)

// synonyms are what other tools call what has another name here, or no name and a flag.
var synonyms = map[string][]string{
	"skb": {"generic"}, "xdpgeneric": {"generic"}, "drv": {"native"}, "driver": {"native"}, "xdpdrv": {"native"},
	"both": {"inout"}, "all": {"inout"}, "any": {"inout", "auto"}, "rx": {"in"}, "received": {"in"}, "inbound": {"in"}, "ingress": {"in", "tc"},
	"tx": {"out"}, "sent": {"out"}, "outbound": {"out"}, "egress": {"out"},
	"tcx": {"tc"}, "clsact": {"tc"}, "fexit": {"beside"},
	"perfbuf": {"perf"}, "perf_event": {"perf"}, "ring": {"ringbuf"}, "rb": {"ringbuf"},
	"jsonl": {"json"}, "ndjson": {"json"}, "eve": {"json"}, "plain": {"text"}, "quiet": {"none"}, "count": {"none"},
	"source": {"src"}, "ip": {"src"}, "host": {"src"}, "protocol": {"proto"}, "ports": {"port"}, "flow": {"conversation"}, "subnet": {"prefix"}, "net": {"prefix"},
	"dropped": {"drop"}, "passed": {"pass"}, "abort": {"aborted"}, "xmit": {"tx"}, "redirected": {"redirect"},
	"yes": {"always"}, "true": {"always"}, "on": {"always"}, "no": {"never", "none"}, "false": {"never"}, "off": {"never", "none"},
	"unix": {"epoch"}, "relative": {"elapsed"}, "default": {"auto"},
}

// elsewhere are what is asked of a flag and had by another one: by a name that the flag
// takes, of those of others' tools.
var elsewhere = map[string]map[string]string{
	"json": {"pcap": "-w FILE writes those", "pcapng": "-w FILE writes those", "hex": "-x prints bytes", "ipfix": "--ipfix sends those", "netflow": "--ipfix sends flows"},
}

// oneOf is the error of a word that is none of some, with the one that may be meant.
func oneOf(s string, words []string) error {
	text := "must be one of " + strings.Join(words, ", ")
	for _, word := range words {
		if advice := elsewhere[word][strings.ToLower(s)]; advice != "" {
			return fmt.Errorf("%s: %s", text, advice)
		}
	}
	for _, word := range append(slices.Clone(words), synonyms[strings.ToLower(s)]...) {
		meant := strings.EqualFold(s, word) || len(s) > 2 && strings.HasPrefix(word, strings.ToLower(s)) ||
			slices.Contains(synonyms[strings.ToLower(s)], word)
		if meant && slices.Contains(words, word) {
			return fmt.Errorf("%s: write %s", text, word)
		}
	}
	return errors.New(text)
}

func parseOutput(s string) (format.Kind, error) {
	kind, err := format.Find(s)
	if err != nil {
		return kind, oneOf(s, format.Names())
	}
	return kind, nil
}

func parseMode(s string) (loader.Mode, error) {
	if s == loader.Offload.String() {
		return 0, errors.New("is not offered: a card has no place for events")
	}
	return parseName(s, loader.ParseMode, loader.Auto, loader.Generic)
}

func parseMethod(s string) (loader.Method, error) {
	return parseName(s, loader.ParseMethod, loader.ByNetlink, loader.ByLink)
}

func engineNames() (words []string) {
	for _, e := range run.Engines() {
		words = append(words, e.Name)
	}
	return words
}

func parseEngine(s string) (run.Engine, error) {
	for _, e := range run.Engines() {
		if e.Name == s {
			return e, nil
		}
	}
	return run.Engine{}, oneOf(s, engineNames())
}

func parsePlace(s string) (run.Place, error) { return parseWord(s, run.AnyPlace, run.AtTC) }

// parseVerdicts reads a list of verdicts.
func parseVerdicts(s string) (all []wire.Verdict, err error) {
	for word := range strings.SplitSeq(s, ",") {
		v, err := parseWord(word, wire.Aborted, wire.Redirect)
		if err != nil {
			one := oneOf(word, wordsOf(wire.Aborted, wire.Redirect)).Error()
			return nil, errors.New(strings.Replace(one, "one", "a list", 1))
		}
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all, nil
}

func parseDirection(s string) (run.Direction, error) { return parseWord(s, run.In, run.InOut) }

// parseWord is the value from first to last that has a name.
func parseWord[T named](s string, first, last T) (T, error) {
	for v := first; v <= last; v++ {
		if v.String() == s {
			return v, nil
		}
	}
	return first, oneOf(s, wordsOf(first, last))
}

// transport is one that was asked for, or none.
type transport struct {
	asm.Transport
	fixed bool
}

// anyTransport is what the user says who wants the cheapest.
const anyTransport = "auto"

func (t transport) String() string {
	if !t.fixed {
		return anyTransport
	}
	return t.Transport.String()
}

// carries says whether it brings packet bytes, where some are wanted.
func (t transport) carries(bytes int) bool { return bytes == 0 || t.MaxSnapLen() > 0 }

func parseTransport(s string) (transport, error) {
	if s == anyTransport {
		return transport{}, nil
	}
	t, err := asm.ParseTransport(s)
	if err != nil {
		return transport{}, oneOf(s, transportNames())
	}
	return transport{t, true}, nil
}

func transportNames() []string {
	all := []string{anyTransport}
	for _, t := range asm.Transports() {
		all = append(all, t.String())
	}
	return all
}

func parseClock(s string) (asm.Clock, error) {
	return parseName(s, asm.ParseClock, asm.PreciseClock, asm.HardwareClock)
}

// named is a kind of value of which there are a few, numbered and with names.
type named interface {
	~uint8
	fmt.Stringer
}

// wordsOf are the names of the values from first to last.
func wordsOf[T named](first, last T) []string {
	var all []string
	for v := first; v <= last; v++ {
		all = append(all, v.String())
	}
	return all
}

func parseName[T named](s string, parse func(string) (T, error), first, last T) (T, error) {
	v, err := parse(s)
	if err != nil {
		return v, oneOf(s, wordsOf(first, last))
	}
	return v, nil
}

// oneOfWords parses one of some words.
func oneOfWords(words []string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, word := range words {
			if s == word {
				return s, nil
			}
		}
		return "", oneOf(s, words)
	}
}
