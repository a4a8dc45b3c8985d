package filter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// FuzzParse proves that Parse does not panic, that errors point into the text
// and have one line, and that canonical texts make equal trees.
func FuzzParse(f *testing.F) {
	for _, test := range accepted {
		f.Add(test.text)
	}
	for _, test := range refused {
		f.Add(test.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := builtIn.Parse(text)
		if err == nil {
			if err := parsed.Check(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
			roundTrip(t, parsed)
			return
		}
		var mistake *filter.Error
		if !errors.As(err, &mistake) {
			t.Fatalf("%q: error %v is no *Error", text, err)
		}
		if mistake.Offset < 0 || mistake.Offset > len(text) || mistake.Text != text {
			t.Errorf("%q: offset %d", text, mistake.Offset)
		}
		if strings.Contains(mistake.Error(), "\n") {
			t.Errorf("error has several lines: %q", mistake.Error())
		}
		if lines := strings.Split(mistake.Caret(), "\n"); len(lines) != 2 {
			t.Errorf("caret form has %d lines: %q", len(lines), mistake.Caret())
		}
	})
}

// FuzzMatch proves that Match does not panic on any frame, and that a filter
// and its negation are never both true.
func FuzzMatch(f *testing.F) {
	generator := filtertest.NewExpressions(5)
	for i, frame := range filtertest.Frames(5) {
		if i < 300 {
			f.Add(generator.Next(5), frame.Data, uint32(frame.Length))
		}
	}
	f.Fuzz(func(t *testing.T, text string, frame []byte, length uint32) {
		parsed, err := builtIn.Parse(text)
		if err != nil {
			return
		}
		negated := &filter.Filter{Root: filter.Not{Term: parsed.Root}}
		if parsed.Match(frame, int(length)) && negated.Match(frame, int(length)) {
			t.Errorf("%q and its negation match %x", text, frame)
		}
	})
}
