package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// addInterface adds -i, which shells complete to what there is.
func addInterface(cmd *cobra.Command, value pflag.Value, usage string) {
	cmd.Flags().VarP(value, "iface", "i", usage)
	complete(cmd, "iface", func() []string { return entries("/sys/class/net") })
}

// entries are the names in a directory; none if it can't be read.
func entries(dir string) []string {
	found, _ := os.ReadDir(dir)
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

// addNamespace adds --netns, which shells complete to the names that there
// are, and to files once there is a slash.
func addNamespace(cmd *cobra.Command, netns *string) {
	cmd.Flags().Var(value[string]{netns, parseNamespace, "NS"}, "netns", "network namespace of the interface: name, path or pid")
	completeWith(cmd, "netns", func(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if strings.Contains(word, "/") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return entries("/run/netns"), cobra.ShellCompDirectiveNoFileComp
	})
}

// complete says what a flag's values may be.
func complete(cmd *cobra.Command, flag string, values func() []string) {
	completeWith(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return values(), cobra.ShellCompDirectiveNoFileComp
	})
}

func completeWith(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // no such flag
	}
}
