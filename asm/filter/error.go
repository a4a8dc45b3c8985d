package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with a filter, and where.
type Error struct {
	Text    string // the filter
	Offset  int    // bytes; at most len(Text), where something is missing at its end
	Message string // with a suggestion, where there is one
}

// window is how much of a long filter an error shows, in bytes around Offset.
const window = 60

// Error is one line: the filter, or the part of a long one around the mistake,
// and what is wrong with it.
func (e *Error) Error() string {
	text, _ := e.excerpt()
	if text == "" {
		return "filter: " + e.Message
	}
	return text + ": " + e.Message
}

// Caret is two lines for a terminal: the filter, or the part of a long one
// around the mistake, and below it a caret at the mistake.
func (e *Error) Caret() string {
	text, column := e.excerpt()
	return text + "\n" + strings.Repeat(" ", column) + "^"
}

// excerpt is the text around Offset on one line, and Offset's column in it.
func (e *Error) excerpt() (text string, column int) {
	from, to := 0, len(e.Text)
	prefix, suffix := "", ""
	if e.Offset > window {
		from, prefix = e.Offset-window, "…"
	}
	if to-e.Offset > window {
		to, suffix = e.Offset+window, "…"
	}
	for from > 0 && from < e.Offset && !utf8.RuneStart(e.Text[from]) {
		from++
	}
	for to < len(e.Text) && to > e.Offset && !utf8.RuneStart(e.Text[to]) {
		to--
	}
	before, after := prefix+printable(e.Text[from:e.Offset]), printable(e.Text[e.Offset:to])+suffix
	return before + after, utf8.RuneCountInString(before)
}

// printable replaces what would break the line or the caret's column.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, s)
}
