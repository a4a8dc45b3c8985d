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
	at := min(max(e.Offset, 0), len(e.Text))
	from, to := 0, len(e.Text)
	prefix, suffix := "", ""
	if at > window {
		from, prefix = at-window, "…"
	}
	if to-at > window {
		to, suffix = at+window, "…"
	}
	for from > 0 && from < at && !utf8.RuneStart(e.Text[from]) {
		from++
	}
	for to < len(e.Text) && to > at && !utf8.RuneStart(e.Text[to]) {
		to--
	}
	before, after := prefix+printable(e.Text[from:at]), printable(e.Text[at:to])+suffix
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
