package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// app is what the commands need of the process.
type app struct {
	stdout, stderr    io.Writer
	version, revision string
	hurry             <-chan struct{} // closed by the second signal; nil = never
}

// run is all of main that can be tested: it returns the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := &cobra.Command{
		Use:           "relay",
		Short:         "A libp2p relay that counts who uses it",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(runCommand(a), configCommand(a), idCommand(a), pingCommand(a), versionCommand(a), keepCommand(a))
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return exitCode(a.stderr, root.ExecuteContext(ctx))
}

// printJSON prints one object on one line.
func (a *app) printJSON(content any) error {
	return json.NewEncoder(a.stdout).Encode(content)
}

// outputFlag adds -o and refuses what is neither text nor json.
func outputFlag(c *cobra.Command) *string {
	format := c.Flags().StringP("output", "o", "text", "text or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *format != "text" && *format != "json" {
			return fmt.Errorf("output: %q: accepted are text and json", *format)
		}
		return nil
	}
	return format
}
