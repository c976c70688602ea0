package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newExec(a *app) *cobra.Command {
	var on string
	var concurrency int
	cmd := &cobra.Command{
		Use:   "exec --on SELECTOR -- COMMAND...",
		Short: "Run a command on some boxes",
		Long: `Run a command on some boxes. SELECTOR is a node (nyc1-1), a region (nyc1), a glob
('nyc*'), or several of these with commas. For one box its exit code is passed on;
for several the exit code is 3 if any of them failed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fleet.WithHint(errors.New("exec: COMMAND is missing"), "run 'fleetctl exec --on nyc1-1 -- uname -s -m'")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if on == "" {
				return fleet.WithHint(errors.New("exec: --on is missing"), "name the boxes: --on nyc1-1")
			}
			if concurrency < 1 {
				return fmt.Errorf("exec: --concurrency: %d: accepted are numbers from 1", concurrency)
			}
			s, err := a.read("exec")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			machines, err := s.machines(cmd.Context())
			if err != nil {
				return err
			}
			chosen, err := pick(machines, on)
			if err != nil {
				return err
			}
			v := s.exec(cmd.Context(), chosen, args, concurrency)
			return errors.Join(a.show(v), v.verdict())
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "which boxes: a `selector`")
	cmd.Flags().IntVar(&concurrency, "concurrency", 30, "how many `boxes` at once")
	_ = cmd.RegisterFlagCompletionFunc("on", a.completeNodes)
	return cmd
}

// execRow is what a command did on one box.
type execRow struct {
	Node   string  `json:"node"`
	Stdout string  `json:"stdout"`
	Stderr string  `json:"stderr"`
	Exit   *int    `json:"exit"` // null: it may not have run
	Error  string  `json:"error"`
	TookMS float64 `json:"took_ms"`
}

// execView is what a command did on every box, in the order in which they were selected.
type execView []execRow

// exec runs argv on the machines.
func (s *session) exec(ctx context.Context, machines []fleet.Machine, argv []string, parallel int) execView {
	rows := make(execView, len(machines))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, m := range machines {
		group.Go(func() error {
			start := s.app.now()
			rows[i] = execRow{Node: m.Node}
			res, err := s.hosts.Exec(ctx, m, argv)
			rows[i].TookMS = milliseconds(s.app.now().Sub(start))
			if err != nil {
				rows[i].Error = err.Error()
				return nil
			}
			rows[i].Stdout, rows[i].Stderr, rows[i].Exit = string(res.Stdout), string(res.Stderr), &res.ExitCode
			return nil
		})
	}
	_ = group.Wait()
	return rows
}

// verdict passes the remote exit code on for exactly one box, else 3 if any failed.
func (v execView) verdict() error {
	var errs []error
	for _, r := range v {
		switch {
		case r.Exit == nil:
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, fmt.Errorf("%s: %s", r.Node, r.Error))))
		case *r.Exit != 0 && len(v) == 1:
			return silently(*r.Exit)
		case *r.Exit != 0:
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, fmt.Errorf("%s: exit %d", r.Node, *r.Exit))))
		}
	}
	return errors.Join(errs...)
}

// Text prints every line led by its node, or the bare output of a single box.
func (v execView) Text(w io.Writer, _ render.Options) error {
	for _, r := range v {
		prefix := r.Node + ": "
		if len(v) == 1 {
			prefix = ""
		}
		for _, part := range []string{r.Stdout, r.Stderr} {
			lines := bufio.NewScanner(bytes.NewBufferString(part))
			lines.Buffer(nil, 16<<20)
			for lines.Scan() {
				if _, err := fmt.Fprintln(w, prefix+render.SafeUpTo(lines.Text(), 1<<16)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (v execView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "node"}, {Name: "exit"}, {Name: "stdout"}, {Name: "stderr"}, {Name: "error"}}}
	for _, r := range v {
		t.Rows = append(t.Rows, []any{r.Node, r.Exit, r.Stdout, r.Stderr, r.Error})
	}
	return t
}
