package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newLogs(a *app) *cobra.Command {
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use:               "logs NODE",
		Short:             "Show the log of a relay",
		Args:              exactArgs("NODE"),
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := a.read("logs")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			m, err := s.machine(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			err = s.hosts.Logs(cmd.Context(), m, lines, follow, a.stdout)
			if follow && interrupted(cmd.Context()) {
				return silently(exitInterrupted) // how -f ends: nothing is left to go on with
			}
			return ofNode(m.Node, err)
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many `lines` at most")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on, until Ctrl-C")
	return cmd
}
