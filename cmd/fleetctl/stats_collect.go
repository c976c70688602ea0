package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/stats"
)

func newStatsCollect(a *app) *cobra.Command {
	var wait patience
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "Read what is new at every relay into the history",
		Long: `Read what is new at every relay into the history, as one transaction: what is killed half-way
is as if it had not begun. One round for cron or a systemd timer; with --every one after the
other, a line for each, until SIGINT or SIGTERM, which is exit 0. Each round goes by the
fleet.yaml of its time; one that cannot be used is told of, and the one before holds.

A relay that does not answer is named and its part is missing: exit 3. The next round reads
what it counted meanwhile. Only one collector runs at a time: exit 5 for a second one.`,
		Example: `  fleetctl stats collect
  fleetctl stats collect --every 1m`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := wait.check(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("every") && every < time.Second {
				return fmt.Errorf("stats collect: --every %s: at least 1s is accepted", every)
			}
			c, err := a.collector(cmd.Context(), wait)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.close()) }()
			if every > 0 {
				return c.rounds(cmd.Context(), every)
			}
			done := a.busy("asking every relay of fleet " + c.session.spec.Name)
			v, err := c.round(cmd.Context())
			done()
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.problem())
		},
	}
	wait.register(cmd)
	cmd.Flags().DurationVar(&every, "every", 0, "collect again and again, each time after this `long`")
	return cmd
}

// collector reads a fleet into its history. It holds the history's lock.
type collector struct {
	session *session
	store   *history.Store
	file    os.FileInfo // of the store
	wait    patience
	told    string // what is wrong with fleet.yaml, as it was told last
}

// collector opens what a collector needs: a state directory, where the history is, and
// the fleet. A fleet of the local provider that is not up has neither.
func (a *app) collector(ctx context.Context, wait patience) (*collector, error) {
	spec, err := a.loadSpec()
	if err != nil {
		return nil, err
	}
	dir, err := a.readState(spec)
	if err == nil && !dir.Exists() && spec.Provider == fleet.ProviderLocal {
		return nil, fleet.WithHint(fmt.Errorf("stats collect: fleet %s is not up", spec.Name), "run 'fleetctl up'")
	}
	if err == nil && !dir.Exists() {
		dir, err = a.openState(spec)
	}
	if err != nil {
		return nil, err
	}
	store, err := openHistory(ctx, dir, history.Options{Collector: true})
	if err != nil {
		return nil, fmt.Errorf("stats collect: %w", err)
	}
	file, err := os.Stat(dir.Join(history.FileName))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("stats collect: %w", err), store.Close())
	}
	s, err := a.connect(spec, dir, "", []string{"stats", "collect"})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &collector{session: s, store: store, file: file, wait: wait}, nil
}

func (c *collector) close() error { return errors.Join(c.store.Close(), c.session.close()) }

// round reads every relay once and takes in what it told. What was cut off by the
// operator is not taken in: it would look as if relays had not answered.
func (c *collector) round(ctx context.Context) (collectView, error) {
	cursors, err := c.store.Cursors(ctx)
	if err != nil {
		return collectView{}, err
	}
	began := time.Now()
	readings, err := c.session.readings(ctx, c.wait, c.session.after(cursors))
	if err != nil {
		return collectView{}, err
	}
	summary, err := c.store.Ingest(ctx, c.session.app.now(), readings)
	if err != nil {
		return collectView{}, err
	}
	return newCollectView(summary, readings, time.Since(began)), nil
}

// reasonOf is why something of a reading is missing, nil if that is not known.
func reasonOf(r stats.Reading) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Telemetry != nil && len(r.Telemetry.Damaged) > 0:
		return errors.New(strings.Join(r.Telemetry.Damaged, "; "))
	case len(r.Warnings) > 0:
		return errors.New(strings.Join(r.Warnings, "; "))
	}
	return nil
}

// rounds collects until ctx ends, which is how it is meant to end. A round that fails is
// said and the next one is tried.
func (c *collector) rounds(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := c.follow(ctx)
		var v collectView
		if err == nil {
			v, err = c.round(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil:
			c.session.app.warn(err)
		default:
			if err := c.session.app.line(v); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// warn says on stderr what went wrong in a command that goes on.
func (a *app) warn(err error) {
	a.say("fleetctl: warning: %s", safeLines(err.Error()))
	if hint := fleet.Hint(err); hint != "" {
		a.say("hint: %s", render.Safe(hint))
	}
}

// line writes a round as one line: JSON under -o json, words otherwise.
func (a *app) line(v collectView) error {
	text := v.line()
	if a.globals.output.format == render.FormatJSON {
		encoded, err := json.Marshal(v)
		if err != nil {
			return err
		}
		text = string(encoded)
	}
	if _, err := fmt.Fprintln(a.stdout, text); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// collectView is what a collection brought.
type collectView struct {
	history.Summary
	Took float64  `json:"took_secs"`
	Old  []string `json:"old"` // nodes of old relays, sorted

	reasons map[string]error // by node: why something of it is missing
}

func newCollectView(summary history.Summary, readings []stats.Reading, took time.Duration) collectView {
	v := collectView{Summary: summary, Took: took.Round(time.Millisecond).Seconds(), Old: []string{}, reasons: make(map[string]error)}
	for _, r := range readings {
		v.reasons[r.Node] = reasonOf(r)
		if r.Old {
			v.Old = append(v.Old, r.Node)
		}
	}
	slices.Sort(v.Old)
	v.Old = slices.Compact(v.Old) // a node may have two machines
	return v
}

// line is the round in one line.
func (v collectView) line() string {
	text := fmt.Sprintf("%s  %d of %d answered, %d new peers, %d seen again, %s",
		v.At.UTC().Format(time.RFC3339), v.Answered, v.Relays, v.New, v.Changed, render.Elapsed(time.Duration(v.Took*float64(time.Second))))
	for _, node := range v.Unread {
		text += "; " + node + ": " + v.reason(node)
	}
	for _, node := range v.Old {
		text += "; " + node + ": an old relay"
	}
	return render.Safe(text)
}

// reason is why something of a node is missing.
func (v collectView) reason(node string) string {
	if err := v.reasons[node]; err != nil {
		return err.Error()
	}
	return "its census was not read whole"
}

func (v collectView) Table() render.Table {
	t := render.Table{Facts: []render.Fact{
		{Name: "relays answering", Value: fmt.Sprintf("%d of %d", v.Answered, v.Relays)},
		{Name: "new peers", Value: v.New},
		{Name: "peers seen again", Value: v.Changed},
		{Name: "keys of the fleet's own", Value: v.Own},
		{Name: "took", Value: time.Duration(v.Took * float64(time.Second))},
		{Name: "as of", Value: v.At},
	}}
	for _, node := range v.Old {
		t.Notes = append(t.Notes, oldNote(node))
	}
	t.Notes = append(t.Notes, v.Warnings...)
	for _, e := range v.Events {
		t.Notes = append(t.Notes, eventText(e))
	}
	return t
}

// CSV is one row; the nodes that are missing are in one cell.
func (v collectView) CSV() render.Table {
	return render.Table{
		Columns: []render.Column{{Name: "at"}, {Name: "relays"}, {Name: "answered"}, {Name: "missing"}, {Name: "unread"}, {Name: "new"}, {Name: "changed"}, {Name: "own"}, {Name: "took_secs"}, {Name: "old"}},
		Rows:    [][]any{{v.At, v.Relays, v.Answered, v.Missing, v.Unread, v.New, v.Changed, v.Own, v.Took, v.Old}},
	}
}

// problem names the relays whose part is missing: exit 3.
func (v collectView) problem() error {
	var errs []error
	for _, node := range v.Unread {
		err := fmt.Errorf("%s: %s", node, v.reason(node))
		errs = append(errs, withCode(exitPartial, ofNode(node, hintOf(node, slices.Contains(v.Missing, node), err))))
	}
	return errors.Join(errs...)
}

// eventText is an event of the history on one line.
func eventText(e history.Event) string {
	if e.Node == "" {
		return e.Text
	}
	return e.Node + ": " + e.Text
}
