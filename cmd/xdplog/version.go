package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/version"
)

func versionCommand(env run.Environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version, Go's and the source revision",
		Args:  noWords,
		RunE:  func(*cobra.Command, []string) error { return printVersion(env.Stdout) },
	}
}

func printVersion(w io.Writer) error {
	_, err := io.WriteString(w, version.Own().String())
	return term.OrClosed(err)
}
