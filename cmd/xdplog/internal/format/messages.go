package format

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/reader/eve"
)

// Messages is a standard error for what people read, which is as well for programs
// where those read the events: then each line becomes an object, as in Suricata's
// log of its engine. What is one already stays as it is.
type Messages struct {
	To    io.Writer
	JSON  bool
	Micro bool // times have six digits
}

// Fault begins the line of what a command failed of.
const Fault = "xdplog: "

// Write implements [io.Writer], for whole lines.
func (m *Messages) Write(lines []byte) (int, error) {
	if !m.JSON {
		return m.To.Write(lines)
	}
	var b []byte
	encoder := eve.Encoder{Micro: m.Micro}
	now := time.Now()
	for line := range bytes.Lines(lines) {
		if line[0] == '{' {
			b = append(b, line...)
			continue
		}
		text, level := strings.TrimRight(string(line), "\n"), "Notice"
		if fault, is := strings.CutPrefix(text, Fault); is {
			text, level = fault, "Error"
		}
		b = encoder.AppendMessage(b, level, text, now)
	}
	if _, err := m.To.Write(b); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// Unwrap is where it writes to, where that is shown as it is: see [term.IsTerminal].
func (m *Messages) Unwrap() io.Writer { return m.To }

var _ term.Wrapper = (*Messages)(nil)
