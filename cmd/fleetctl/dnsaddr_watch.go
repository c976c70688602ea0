package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// watching says how long `dnsaddr watch` looks, and how often.
type watching struct {
	servers
	timeout  time.Duration
	interval time.Duration
}

func newDNSAddrWatch(a *app) *cobra.Command {
	var w watching
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Wait until every DNS server serves what the zone holds",
		Long: `Wait until every DNS server that 'dnsaddr verify' asks serves what the zone holds, one line on
stderr for each change. Exit 0 as soon as all do; at the timeout 4 if a server serves something
else, which is named with how long it may keep it, and 3 if a server only does not answer.
A name server whose address is not known is waited for no longer than the others: exit 3.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if w.interval < 100*time.Millisecond {
				return fmt.Errorf("dnsaddr watch: --interval %s: at least 100ms are accepted", w.interval)
			}
			s, err := a.read("dnsaddr", "watch")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			v, err := s.watch(cmd.Context(), w)
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.verdict())
		},
	}
	w.register(cmd)
	cmd.Flags().DurationVar(&w.timeout, "timeout", 10*time.Minute, "look no `longer` than this")
	cmd.Flags().DurationVar(&w.interval, "interval", 2*time.Second, "look again after this `long`")
	return cmd
}

// watchView is how `fleetctl dnsaddr watch` ended.
type watchView struct {
	Name     string      `json:"name"`
	Records  int         `json:"records"`
	Servers  []serverRow `json:"servers"`
	Warnings []string    `json:"warnings"`
	Waited   float64     `json:"waited_secs"`
	OK       bool        `json:"ok"`

	all      bool // servers that were found serve what the zone holds
	problems []error
}

// watch asks every server again and again. Its error is that of a zone that cannot be
// read, or of ctx; servers that are still behind at the timeout are in the view.
func (s *session) watch(ctx context.Context, w watching) (watchView, error) {
	v := watchView{Name: s.spec.DNS.RecordName()}
	sources, unfound, err := s.sources(ctx, w.servers, true)
	if err != nil {
		return v, err
	}
	if len(sources) == 0 {
		err := fleet.WithHint(errors.New("dnsaddr watch: no DNS server could be asked"), "name one with --authority or --resolver")
		return v, withCode(exitPartial, err)
	}
	limit, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	progress := s.app.progress()
	defer progress.Close()
	tell := teller{began: time.Now(), event: progress.Event, told: make(map[resolve.Source]string)}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		found, err := s.survey(limit, sources, unfound)
		switch {
		case ctx.Err() != nil:
			return v, ctx.Err()
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			return v, err
		case err == nil: // a look that the timeout ended is none
			v.take(found)
			tell.changes(found)
		}
		v.Waited = time.Since(tell.began).Round(time.Millisecond).Seconds()
		if v.all || limit.Err() != nil {
			return v, v.looked(w.timeout)
		}
		select {
		case <-limit.Done():
		case <-tick.C:
		}
	}
}

// take keeps the newest look.
func (v *watchView) take(found survey) {
	v.Records, v.Servers, v.Warnings, v.problems = len(found.records), found.rows(), found.notes(), found.problems()
	v.OK, v.all = len(v.problems) == 0, len(found.ofServers()) == 0
}

// looked is the error of a watch that ended before its first look did.
func (v *watchView) looked(timeout time.Duration) error {
	if v.Servers == nil {
		return withCode(exitPartial, fmt.Errorf("dnsaddr watch: no look at the servers ended within %s", timeout))
	}
	return nil
}

// teller says what changed since the last look.
type teller struct {
	began time.Time
	event func(fleet.Event)
	told  map[resolve.Source]string
}

func (t *teller) changes(found survey) {
	for _, r := range found.readings {
		e := fleet.Event{Kind: fleet.EventNote, Stage: fleet.StagePublish, Change: fleet.Change{Ref: fleet.Ref{Node: r.Source.Server.String()}}, Elapsed: time.Since(t.began)}
		state := string(r.State)
		switch r.State {
		case resolve.InSync:
			e.Kind, e.Detail = fleet.EventDone, "serves what the zone holds"
		case resolve.Behind:
			state += fmt.Sprint(values(r.Missing), values(r.Old))
			e.Detail = fmt.Sprintf("%d missing, %d old: %s", len(r.Missing), len(r.Old), difference(r))
		case resolve.Lame, resolve.Bogus, resolve.Unknown:
			e.Detail = fmt.Sprintf("%s: %v", r.State, r.Err)
		}
		if t.told[r.Source] == state {
			continue
		}
		t.told[r.Source] = state
		t.event(e)
		if r.State != resolve.InSync {
			e.Kind = fleet.EventWaiting
			t.event(e)
		}
	}
}

// values of records, without the TTLs that run down.
func values(all []resolve.Difference) []string {
	out := make([]string, 0, len(all))
	for _, d := range all {
		out = append(out, d.String())
	}
	return out
}

func (v watchView) verdict() error {
	errs := make([]error, 0, len(v.problems))
	for _, p := range v.problems {
		if fleet.Hint(p) == "" {
			p = fleet.WithHint(p, "wait as long as it says and run 'fleetctl dnsaddr watch' again; 'fleetctl dnsaddr verify' also dials")
		}
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

func (v watchView) Table() render.Table {
	t := serversTable(v.Servers)
	t.Title = ""
	t.Facts = []render.Fact{
		{Name: "name", Value: v.Name}, {Name: "records in the zone", Value: v.Records}, {Name: "waited", Value: time.Duration(v.Waited * float64(time.Second))},
	}
	t.Notes = v.Warnings
	return t
}
