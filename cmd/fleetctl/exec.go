package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newExec(a *app) *cobra.Command {
	var sel selection
	var concurrency int
	cmd := &cobra.Command{
		Use:   "exec --on SELECTOR -- COMMAND...",
		Short: "Run a command on some boxes",
		Long: `Run a command on some boxes. SELECTOR is a node (nyc1-1), a region (nyc1), a glob
('nyc*'), or several of these with commas; --region and --tag narrow it down, --exclude
leaves boxes out, --all means every box.

Each line is led by its node, and a box's lines appear together when its command has
ended. The command's standard input is empty. For one box its output is passed on bare
and so is its exit code; for several the exit code is 3 if any of them failed.`,
		Example: `  fleetctl exec --on nyc1-1 -- uname -s -m
  fleetctl exec --region nyc1 --exclude nyc1-2 -- systemctl is-active relay.service
  fleetctl exec --all --concurrency 5 -o json -- df -Pk /var/lib/relay`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fleet.WithHint(errors.New("exec: COMMAND is missing"), "run 'fleetctl exec --on nyc1-1 -- uname -s -m'")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := errors.Join(sel.require("exec"), atLeastOne("exec", concurrency)); err != nil {
				return err
			}
			s, err := a.read("exec")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			chosen, err := s.listed(cmd.Context(), sel)
			if err != nil {
				return err
			}
			v := s.exec(cmd.Context(), chosen, args, concurrency)
			return errors.Join(a.show(v), v.verdict())
		},
	}
	sel.register(a, cmd, true)
	concurrencyFlag(cmd, &concurrency)
	return cmd
}

// concurrencyFlag adds --concurrency; atLeastOne checks it.
func concurrencyFlag(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "concurrency", 100, "how many `boxes` at once")
}

func atLeastOne(command string, n int) error {
	if n < 1 {
		return fmt.Errorf("%s: --concurrency: %d: accepted are numbers from 1", command, n)
	}
	return nil
}

// execRow is what a command did on one box.
type execRow struct {
	Node      string  `json:"node"`
	Stdout    string  `json:"stdout"`
	Stderr    string  `json:"stderr"`
	Truncated bool    `json:"truncated"` // the box said more than is kept
	Exit      *int    `json:"exit"`      // null: it may not have run
	Error     string  `json:"error"`
	TookMS    float64 `json:"took_ms"`

	err error `json:"-"`
}

// execView is what a command does on every box while it does it. For people it tells of
// each box as soon as it is known; for programs it is the rows in the order of selection.
type execView struct {
	rows   []execRow
	ended  <-chan int // indexes of rows, as they become known; closed after the last
	stderr io.Writer  // what boxes write to theirs, for people
}

// exec runs argv on the machines. It returns at once; whoever shows the view waits.
func (s *session) exec(ctx context.Context, machines []fleet.Machine, argv []string, parallel int) *execView {
	ended := make(chan int, len(machines))
	v := &execView{rows: make([]execRow, len(machines)), ended: ended, stderr: s.app.stderr}
	for i, m := range machines {
		v.rows[i].Node = m.Node
	}
	go func() {
		defer close(ended)
		var group errgroup.Group
		group.SetLimit(parallel)
		for i, m := range machines {
			group.Go(func() error {
				v.rows[i] = s.execOn(ctx, m, argv)
				ended <- i
				return nil
			})
		}
		_ = group.Wait()
	}()
	return v
}

// execOn runs argv on one machine.
func (s *session) execOn(ctx context.Context, m fleet.Machine, argv []string) execRow {
	start := s.app.now()
	row := execRow{Node: m.Node}
	res, err := s.run(ctx, m, argv)
	row.TookMS = milliseconds(s.app.now().Sub(start))
	if err != nil {
		row.Error, row.err = err.Error(), err
		return row
	}
	row.Stdout, row.Stderr, row.Truncated, row.Exit = string(res.Stdout), string(res.Stderr), res.Truncated, &res.ExitCode
	return row
}

// wait returns the rows when all are known.
func (v *execView) wait() []execRow {
	for range v.ended { //nolint:revive // only waits
	}
	return v.rows
}

// verdict passes the remote exit code on for exactly one box, else 3 if any failed.
func (v *execView) verdict() error {
	var errs []error
	for _, r := range v.wait() {
		switch {
		case r.Exit == nil:
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, aboutNode(r.Node, r.err))))
		case *r.Exit != 0 && len(v.rows) == 1:
			return silently(*r.Exit)
		case *r.Exit != 0:
			errs = append(errs, withCode(exitPartial, ofNode(r.Node, fmt.Errorf("%s: exit %d", r.Node, *r.Exit))))
		}
	}
	return errors.Join(errs...)
}

// aboutNode leads an error with its node, unless it begins so.
func aboutNode(node string, err error) error {
	if strings.HasPrefix(err.Error(), node+":") || strings.HasPrefix(err.Error(), node+" (") {
		return err
	}
	return fmt.Errorf("%s: %w", node, err)
}

// MarshalJSON is the list of rows.
func (v *execView) MarshalJSON() ([]byte, error) { return json.Marshal(v.wait()) }

// Text prints every line led by its node, or the bare output of a single box, each box's
// lines together.
func (v *execView) Text(w io.Writer, _ render.Options) error {
	lead := leads(v.rows, func(r execRow) string { return r.Node })
	for i := range v.ended {
		r := v.rows[i]
		if err := leadLines(w, lead[i], r.Stdout); err != nil {
			return err
		}
		if err := leadLines(v.stderr, lead[i], r.Stderr); err != nil {
			return err
		}
		if r.Truncated {
			fmt.Fprintf(v.stderr, "%s(more than that was cut off)\n", lead[i])
		}
	}
	return nil
}

// leads are what lines begin with: the node, padded to the longest, or nothing where
// there is one only.
func leads[T any](rows []T, node func(T) string) []string {
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(node(r)))
	}
	out := make([]string, len(rows))
	if len(rows) > 1 {
		for i, r := range rows {
			out[i] = fmt.Sprintf("%-*s ", widest+1, node(r)+":")
		}
	}
	return out
}

// longestLine is how many characters of a line of a box are shown.
const longestLine = 1 << 16

// leadLines writes text from a box, made safe line by line.
func leadLines(w io.Writer, lead, text string) error {
	for line := range strings.Lines(text) {
		if _, err := fmt.Fprintln(w, lead+render.SafeUpTo(strings.TrimRight(line, "\r\n"), longestLine)); err != nil {
			return err
		}
	}
	return nil
}

func (v *execView) Table() render.Table {
	t := render.Table{Columns: []render.Column{{Name: "node"}, {Name: "exit"}, {Name: "stdout"}, {Name: "stderr"}, {Name: "error"}}}
	for _, r := range v.wait() {
		t.Rows = append(t.Rows, []any{r.Node, r.Exit, r.Stdout, r.Stderr, r.Error})
	}
	return t
}
