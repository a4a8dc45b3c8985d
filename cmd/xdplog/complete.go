package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xdplog/xdplog/asm/filter"
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
	cmd.Flags().Var(once(netns, parseNamespace, "NS"), "netns", "network namespace of the interface: name, path or pid")
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

// completeList says which words a flag's list may have, each once.
func completeList(cmd *cobra.Command, flag string, words []string) {
	completeWith(cmd, flag, func(_ *cobra.Command, _ []string, word string) (lists []cobra.Completion, _ cobra.ShellCompDirective) {
		given := word[:strings.LastIndexByte(word, ',')+1]
		for _, one := range words {
			if !slices.Contains(strings.Split(given, ","), one) {
				lists = append(lists, given+one)
			}
		}
		return lists, cobra.ShellCompDirectiveNoFileComp
	})
}

func completeWith(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // no such flag
	}
}

// completeFilter completes the words of the filter.
func completeFilter(_ *cobra.Command, words []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	following := slices.DeleteFunc(filter.Following(strings.Join(words, " ")), func(s string) bool { return !strings.HasPrefix(s, word) })
	return following, cobra.ShellCompDirectiveNoFileComp
}

// forgive lets the flags of a command and its subcommands take any value, if it is
// run to complete a command line: cobra parses that twice then, so that a flag
// that may be given once would be refused, and a shell is not to be told why.
func forgive(command *cobra.Command, args []string) {
	if len(args) == 0 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		return
	}
	for _, cmd := range append(command.Commands(), command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Value = forgiving{f.Value} })
	}
}

type forgiving struct{ pflag.Value }

func (v forgiving) Set(s string) error {
	_ = v.Value.Set(s)
	return nil
}
