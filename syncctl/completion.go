package main

import (
	"github.com/spf13/cobra"
)

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion {bash|zsh|fish}",
		Short:     "Print the completion script for a shell",
		Long:      "Print the completion script for a shell. For bash: . <(syncctl completion bash)",
		Args:      args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, shells []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch shells[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			default:
				return root.GenFishCompletion(out, true)
			}
		},
	}
}
