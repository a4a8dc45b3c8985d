// Package names says what the interfaces of a run are called. They keep the names
// by which they were attached, and those that a file gives can't command a terminal.
//
// It imports the standard library alone.
package names

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Interface is an interface under the name that it was attached by: it
// keeps that name when somebody renames it.
type Interface struct {
	Index int
	Name  string
}

// Interfaces finds names by index. There are few: a scan beats a map. In
// a file there may be many, and they are numbered from 0.
type Interfaces []Interface

// Of is the name of the interface with an index, or the index in digits where
// it is none of these.
func (n Interfaces) Of(index int) string {
	if index < len(n) && n[index].Index == index {
		return n[index].Name
	}
	for i := range n {
		if n[i].Index == index {
			return n[i].Name
		}
	}
	return strconv.Itoa(index)
}

// OneWord is a name with "_" in place of what a terminal would not print.
func OneWord(name string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}
