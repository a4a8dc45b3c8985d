package capfile

import (
	"fmt"
	"os"
)

// Files are one capture file or more that are read as one.
type Files []*File

// OpenAll opens files, as [Open] opens one.
func OpenAll(names []string, stdin *os.File, interrupted <-chan os.Signal) (files Files, err error) {
	for _, name := range names {
		file, err := Open(name, stdin, interrupted)
		if err != nil {
			files.Close()
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// Select begins to read ahead those packets that are selected: of several files in the
// order of time.
func (f Files) Select(by Selection) Reading {
	if len(f) == 1 {
		return f[0].Select(by)
	}
	return newMerge(f, by)
}

// Left says which packets were left out, in a line for each file that has such. Of
// files from which nothing else was to be read the error is.
func (f Files) Left() (lines []string, err error) {
	for _, file := range f {
		line, unread := file.Left()
		if line != "" {
			lines = append(lines, line)
		}
		switch {
		case unread == nil:
		case err == nil:
			err = unread
		default:
			err = fmt.Errorf("%w; %w", err, unread)
		}
	}
	return lines, err
}

// Uncopied says what of the files belongs to a copy and is not copied, in a line for each.
func (f Files) Uncopied() (lines []string) {
	for _, file := range f {
		if line := file.Uncopied(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Close closes all. Nobody may be reading them.
func (f Files) Close() {
	for _, file := range f {
		file.Close()
	}
}
