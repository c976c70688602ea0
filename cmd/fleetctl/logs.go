package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newLogs(a *app) *cobra.Command {
	var sel selection
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs NODE",
		Short: "Show the log of a relay, or of several",
		Long: `Show the log of a relay, or of several: NODE may be a region or a glob, and --on, --region,
--tag and --exclude choose boxes as those of exec do. Several logs have each line led by
its node.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if sel.given() {
				return exactArgs()(cmd, args)
			}
			return exactArgs("NODE")(cmd, args)
		},
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 1 {
				sel.on = args
			}
			s, err := a.read("logs")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			chosen, err := s.selected(cmd.Context(), sel)
			if err != nil {
				return err
			}
			err = s.logs(cmd.Context(), chosen, lines, follow)
			if follow && interrupted(cmd.Context()) {
				return silently(exitInterrupted) // how -f ends: nothing is left to go on with
			}
			return err
		},
	}
	sel.register(a, cmd, true)
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many `lines` of each at most")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on, until Ctrl-C")
	return cmd
}

// logs copies the logs of some relays to stdout. Without follow those of several come one
// after the other in the order of selection; with it line by line as they come.
func (s *session) logs(ctx context.Context, machines []fleet.Machine, lines int, follow bool) error {
	if len(machines) == 1 {
		return ofNode(machines[0].Node, s.hosts.Logs(ctx, machines[0], lines, follow, s.app.stdout))
	}
	lead := leads(machines, func(m fleet.Machine) string { return m.Node })
	texts := make([]bytes.Buffer, len(machines))
	errs := make([]error, len(machines))
	var out sync.Mutex
	var group errgroup.Group
	for i, m := range machines {
		to := &lineWriter{to: &texts[i], mu: new(sync.Mutex), lead: lead[i]}
		if follow {
			to.to, to.mu = s.app.stdout, &out
		}
		group.Go(func() error {
			err := s.hosts.Logs(ctx, m, lines, follow, to)
			if err = errors.Join(err, to.flush()); err != nil {
				errs[i] = withCode(exitPartial, ofNode(m.Node, aboutNode(m.Node, err)))
			}
			return nil
		})
	}
	_ = group.Wait()
	for i := range texts {
		if _, err := texts[i].WriteTo(s.app.stdout); err != nil {
			return fmt.Errorf("write the log: %w", err)
		}
	}
	return errors.Join(errs...)
}

// lineWriter passes on whole lines, each led and made safe: several may share one
// destination and its lock.
type lineWriter struct {
	to   io.Writer
	mu   *sync.Mutex // of to
	lead string
	part []byte // of a line that has not ended
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		end := bytes.IndexByte(l.part, '\n')
		if end < 0 && len(l.part) < longestLine {
			return len(p), nil
		}
		if end < 0 {
			end = len(l.part) - 1
		}
		if err := l.line(l.part[:end+1]); err != nil {
			return 0, err
		}
		l.part = l.part[end+1:]
	}
}

// flush passes on what stands behind the last newline.
func (l *lineWriter) flush() error {
	if len(l.part) == 0 {
		return nil
	}
	return l.line(l.part)
}

func (l *lineWriter) line(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintln(l.to, l.lead+render.SafeUpTo(string(bytes.TrimRight(text, "\r\n")), longestLine))
	return err
}
