package main

import (
	_ "embed"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdplog/xdplog/cmd/xdplog/internal/run"
	"github.com/xdplog/xdplog/cmd/xdplog/internal/term"
)

// bashAlone has the script of bash do without package bash-completion, which cobra's
// calls.
//
//go:embed bash.sh
var bashAlone string

func completionCommand(env run.Environment) *cobra.Command {
	shells := []cobra.Completion{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the completion script of a shell",
		Example: `  source <(xdplog completion bash)
  autoload -U compinit && compinit && source <(xdplog completion zsh)
  xdplog completion fish | source`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) != 1 {
				return usage("completion needs one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, words []string) error {
			switch words[0] {
			case "bash":
				if err := cmd.Root().GenBashCompletionV2(env.Stdout, true); err != nil {
					return term.OrClosed(err)
				}
				_, err := io.WriteString(env.Stdout, bashAlone)
				return term.OrClosed(err)
			case "zsh":
				return term.OrClosed(cmd.Root().GenZshCompletion(env.Stdout))
			case "fish":
				return term.OrClosed(cmd.Root().GenFishCompletion(env.Stdout, true))
			}
			return usage("no completion for %q: must be one of %s", words[0], strings.Join(shells, ", "))
		},
	}
}
