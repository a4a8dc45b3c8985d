package metrics

import (
	"strconv"
	"strings"
)

// What follows is Prometheus' text format, version 0.0.4, a line for each value.

// appendFamily begins a metric.
func appendFamily(b []byte, name, kind, help string) []byte {
	b = append(b, "# HELP "+name+" "+help+"\n"...)
	return append(b, "# TYPE "+name+" "+kind+"\n"...)
}

// appendSample appends a value of a metric; labels are names and values in turn.
func appendSample(b []byte, name string, value uint64, labels ...string) []byte {
	b = append(b, name...)
	for i := 0; i < len(labels); i += 2 {
		b = append(b, "{,"[min(i, 1)])
		b = append(b, labels[i]...)
		b = append(b, `="`...)
		b = append(b, escapeLabel(labels[i+1])...)
		b = append(b, '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = strconv.AppendUint(b, value, 10)
	return append(b, '\n')
}

// appendFloat appends the one value of a metric that has no labels.
func appendFloat(b []byte, name string, value float64) []byte {
	b = append(b, name...)
	b = append(b, ' ')
	b = strconv.AppendFloat(b, value, 'g', -1, 64)
	return append(b, '\n')
}

// escapeLabel makes a label's value of a name: the format is UTF-8, and an
// interface may be called nearly anything.
func escapeLabel(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}
