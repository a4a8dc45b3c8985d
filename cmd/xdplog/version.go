package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version, Go's and the source revision",
		Args:  noWords,
		RunE:  func(*cobra.Command, []string) error { return printVersion(env.stdout) },
	}
}

func printVersion(w io.Writer) error {
	info, _ := debug.ReadBuildInfo()
	_, err := io.WriteString(w, version(info))
	return orClosed(err)
}

// version returns what the Go command stamped into the binary; info may be nil.
func version(info *debug.BuildInfo) string {
	number, revision, changed := buildVersion(info)
	text := fmt.Sprintf("xdplog %s\n%s %s/%s\n", number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if revision == "" {
		return text
	}
	if changed {
		revision += ", modified"
	}
	return text + "revision " + revision + "\n"
}

// buildVersion returns the module's version, and the source's revision where
// it is known.
func buildVersion(info *debug.BuildInfo) (number, revision string, changed bool) {
	number = "(devel)"
	if info == nil {
		return number, "", false
	}
	if info.Main.Version != "" {
		number = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			revision = setting.Value
		case "vcs.modified":
			changed = setting.Value == "true"
		}
	}
	return number, revision, changed
}
