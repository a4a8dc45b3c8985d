#!/usr/bin/env bash
# To complete a command line, a Go command's library parses its flags twice, into the same values.
#
# Version: github.com/spf13/cobra v1.10.2, github.com/spf13/pflag v1.0.9. A command with a flag whose value counts how often it is set
# is asked by "__complete -i lo ''", as the shell's script asks. Expected: it is set once, as in a run. Seen: twice. A value that takes
# a second setting for a mistake (a name given twice) ends the completion, whose error no shell shows: the flag's user gets no
# completion of anything behind it. A value that appends has everything twice.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT; cd "$t"
cat >go.mod <<'M'
module twice

go 1.24

require (
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9
)
M
cat >main.go <<'G'
package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

type counted struct{ times int }

func (c *counted) Set(string) error { c.times++; return nil }
func (c *counted) Type() string     { return "NAME" }
func (c *counted) String() string   { return "" }

func main() {
	for _, args := range [][]string{{"-i", "lo"}, {"__complete", "-i", "lo", ""}} {
		var set counted
		cmd := &cobra.Command{Use: "twice", Run: func(*cobra.Command, []string) {}}
		cmd.Flags().VarP(&set, "iface", "i", "an interface")
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		cmd.SetArgs(args)
		if err := cmd.Execute(); err != nil {
			panic(err)
		}
		fmt.Println(args[0], set.times)
	}
}
G
GOFLAGS=-mod=mod go mod tidy >/dev/null 2>&1
seen=$(GOFLAGS=-mod=mod go run .)
echo "$seen"
[ "$seen" = "$(printf '%s\n' '-i 1' '__complete 2')" ] || { echo "this has changed"; exit 1; }
