package filter

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Following returns the words that may follow a filter's beginning, sorted: words
// of the language, and built-in names of services and protocols that need no
// backslash. They are for a shell to complete. Of a beginning that is no filter's
// there are none.
func Following(text string) []string {
	candidates := keywords()
	candidates = slices.AppendSeq(candidates, maps.Keys(readServices(builtInServices)))
	for name := range readProtocols(builtInProtocols) {
		if name == strings.ToLower(name) { // the others are the same in capitals
			candidates = append(candidates, name)
		}
	}
	slices.Sort(candidates)
	tokens := lex(text)
	computing := len(tokens) > 1 && tokens[len(tokens)-2].kind == operator
	var fitting []string
	for _, word := range slices.Compact(candidates) {
		if _, isNumber := namedNumbers[word]; isNumber && !computing {
			continue // port tcp-ack is port 16
		}
		longer := strings.TrimSpace(text + " " + word)
		_, err := Options{Files: noFiles{}}.Parse(longer)
		var mistake *Error
		if err == nil || errors.As(err, &mistake) && mistake.Offset == len(longer) {
			fitting = append(fitting, word)
		}
	}
	return fitting
}

// noFiles is a file system without files.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
