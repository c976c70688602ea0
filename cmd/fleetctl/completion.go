package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newCompletion(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell: " + strings.Join(shells, ", "),
		Example: `  fleetctl completion bash > ~/.local/share/bash-completion/completions/fleetctl
  fleetctl completion zsh > "${fpath[1]}/_fleetctl"
  fleetctl completion fish > ~/.config/fish/completions/fleetctl.fish`,
		Args:              exactArgs("SHELL"),
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return unknownValue(cmd, "shell", args[0], shells)
		},
	}
}

// completeNodes completes the first argument, or a flag, with the names of the
// spec's nodes.
func (a *app) completeNodes(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func(node, _ string) string { return node })
}

// completeRegions completes the first argument, or a flag, with the spec's regions.
func (a *app) completeRegions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(cmd, args, func(_, region string) string { return region })
}

// complete offers nothing rather than an error: the operator is still typing.
func (a *app) complete(cmd *cobra.Command, args []string, name func(node, region string) string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || a.settle(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := a.loadSpec()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []string
	for _, slot := range s.Slots() {
		all = append(all, name(slot.Node, slot.Region))
	}
	slices.Sort(all)
	return slices.Compact(all), cobra.ShellCompDirectiveNoFileComp
}

// completeTags completes a flag with the labels of the spec's hosts and its droplets' tags.
func (a *app) completeTags(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if a.settle(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := a.loadSpec()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all := slices.Clone(s.Ocean.Tags)
	for _, h := range s.Hosts {
		all = append(all, h.Labels...)
	}
	slices.Sort(all)
	return slices.Compact(all), cobra.ShellCompDirectiveNoFileComp
}
