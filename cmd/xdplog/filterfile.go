package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
)

// words are those of the filter: of the command line, or of a file.
func (o *options) words(given []string, env run.Environment) ([]string, error) {
	switch {
	case o.filterFile == "":
		return given, nil
	case len(given) > 0:
		return nil, usage("the filter is in %s, by -F: leave out %q", o.filterFile, strings.Join(given, " "))
	}
	text, err := readFilter(o.filterFile, env)
	if err != nil {
		return nil, fmt.Errorf("read filter: %w", err)
	}
	words := wordsIn(text)
	if len(words) == 0 {
		return nil, usage("%s holds no filter: leave out -F, or take --all for every frame", o.filterFile)
	}
	return words, nil
}

// readFilter reads a file, or for "-" stdin. A pipe to which nobody writes can be
// interrupted.
func readFilter(name string, env run.Environment) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // ends with the process, where nobody ever writes
		var r result
		if name == "-" {
			r.text, r.err = io.ReadAll(env.Stdin)
		} else {
			r.text, r.err = os.ReadFile(name)
		}
		read <- r
	}()
	select {
	case r := <-read:
		return string(r.text), r.err
	case <-env.Signals:
		return "", errors.New("interrupted before it was read")
	}
}

// wordsIn are the words of a text in which a # begins a comment, up to the line's end.
func wordsIn(text string) (all []string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		all = append(all, strings.Fields(line)...)
	}
	return all
}

func parseFilterFile(s string) (string, error) {
	if s == "" {
		return "", errors.New("must be the name of a file with a filter, or - for standard input")
	}
	return s, nil
}

// captureNames are how the names of capture files end.
var captureNames = []string{".pcap", ".pcapng", ".cap"}

// isCapture says whether a word is a capture file by its name, or a file that is
// there.
func isCapture(word string) bool {
	name := word
	for _, packed := range []string{".gz", ".zst", ".lz4", ".xz"} {
		name = strings.TrimSuffix(name, packed)
	}
	if slices.Contains(captureNames, filepath.Ext(name)) {
		return true
	}
	info, err := os.Stat(word)
	return err == nil && info.Mode().IsRegular()
}
