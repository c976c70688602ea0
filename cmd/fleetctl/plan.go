package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newPlan(a *app) *cobra.Command {
	var in fleet.Intent
	var out string
	var detailed bool
	cmd := &cobra.Command{
		Use:               "plan",
		Short:             "Show what up would do, and change nothing",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("plan")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			st, err := s.observe(cmd.Context())
			if err != nil {
				return err
			}
			if in.Release, err = s.release(); err != nil {
				return err
			}
			st, _, plan, short := s.priced(cmd.Context(), st, in, false)
			if out != "" {
				if err := savePlan(a.abs(out), plan); err != nil {
					return err
				}
			}
			view := render.PlanView{Plan: plan, Effect: s.effect(st, plan)}
			if short == nil {
				short = fleet.Guard(s.spec, st, in, plan)
			}
			return errors.Join(a.showPlan(view, short, detailed), errors.Join(problems(plan, st)...))
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "write the plan to this `file`, for 'fleetctl up --plan'")
	f.BoolVar(&in.Upgrade, "upgrade", false, "plan the change of the relay binary of serving relays, too")
	f.BoolVar(&in.Force, "force", false, "plan restarts of relays that were restarted less than an hour ago")
	f.BoolVar(&detailed, "detailed-exitcode", false, "exit 2 if there are changes to make")
	return cmd
}

// savePlan writes a plan file, whole or not at all.
func savePlan(path string, p fleet.Plan) error {
	text, err := fleet.EncodePlan(p)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
	if err := replaceFile(path, 0o600, write); err != nil {
		return fmt.Errorf("plan file: %w", err)
	}
	return nil
}
