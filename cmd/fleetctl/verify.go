package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newVerify(a *app) *cobra.Command {
	var cold bool
	var ask servers
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Use every published address as a client does",
		Long: `Use every published address as a client does: ask the DNS servers that 'dnsaddr verify' asks,
dial that address alone, check the peer ID, reserve, and pass bytes through the relay. Exit 4
if any fails, or if a server serves something else than the zone holds.

With --cold-start be an application instead that knows /dnsaddr/<domain> and nothing else:
resolve, dial all that comes, reserve at whichever answers first, and say how long it took.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cold {
				return a.runColdStart(cmd.Context(), ask.resolvers)
			}
			s, err := a.read("verify")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("probing every published address of fleet " + s.spec.Name)
			v, err := s.verify(cmd.Context(), ask)
			done()
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.verdict())
		},
	}
	cmd.Flags().BoolVar(&cold, "cold-start", false, "begin with /dnsaddr/<domain> alone, as an application does")
	ask.register(cmd)
	return cmd
}

// verifyView is what `fleetctl verify` found.
type verifyView struct {
	Name     string        `json:"name"`
	Resolved string        `json:"resolved_by"` // the server that was asked, "" if only the zone was
	Relays   []verifiedRow `json:"relays"`
	Errors   []string      `json:"errors"`
	OK       bool          `json:"ok"`
	Servers  []serverRow   `json:"servers"`
	Warnings []string      `json:"warnings"`

	problems []error // those of Errors
}

// unknownVerdict is that of a probe that could not be made.
const unknownVerdict fleet.Verdict = "unknown"

// verifiedRow is one address.
type verifiedRow struct {
	Node    string        `json:"node"`
	PeerID  string        `json:"peer_id"`
	Address string        `json:"address"`
	Verdict fleet.Verdict `json:"verdict"`
	Step    string        `json:"step"` // that failed, "" if none did
	Error   string        `json:"error"`
	TookMS  float64       `json:"took_ms"`
	Steps   []stepRow     `json:"steps"`
}

// stepRow is one step of a probe.
type stepRow struct {
	Name   string  `json:"name"` // resolve, dial, identify, reserve, relay
	TookMS float64 `json:"took_ms"`
	Error  string  `json:"error"`
}

// milliseconds is a duration as JSON tells it, to a tenth.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond).Microseconds()) / 1e3
}

// verify resolves the fleet's names and probes every record of ours.
func (s *session) verify(ctx context.Context, ask servers) (verifyView, error) {
	v := verifyView{Name: s.spec.DNS.RecordName(), Relays: []verifiedRow{}, Errors: []string{}}
	sources, unfound, err := s.sources(ctx, ask, true)
	if err != nil {
		return v, err
	}
	found, err := s.survey(ctx, sources, unfound)
	if err != nil {
		return v, err
	}
	if len(sources) > 0 {
		v.Resolved = sources[0].Server.String()
	}
	v.Servers, v.Warnings = found.rows(), found.notes()
	var group errgroup.Group
	group.SetLimit(8)
	var ours []dnsaddr.Record
	for _, rec := range found.records {
		if _, ok := rec.OwnedBy(s.spec.Name); ok {
			ours = append(ours, rec)
		}
	}
	v.Relays = make([]verifiedRow, len(ours))
	for i, rec := range ours {
		group.Go(func() error {
			v.Relays[i] = s.probe(ctx, rec)
			return nil
		})
	}
	_ = group.Wait()
	v.problems = append(found.problems(), s.withoutRecord(found.records)...)
	for _, p := range v.problems {
		v.Errors = append(v.Errors, p.Error())
	}
	slices.SortStableFunc(v.Relays, func(a, b verifiedRow) int {
		return slices.Compare([]string{a.Node, a.Address}, []string{b.Node, b.Address})
	})
	v.OK = len(v.Errors) == 0 && !slices.ContainsFunc(v.Relays, func(r verifiedRow) bool { return !r.Verdict.Verified() })
	return v, ctx.Err()
}

// withoutRecord names the slots that no record of ours stands for.
func (s *session) withoutRecord(records []dnsaddr.Record) []error {
	var errs []error
	for _, slot := range s.spec.Slots() {
		published := slices.ContainsFunc(records, func(rec dnsaddr.Record) bool {
			node, ok := rec.OwnedBy(s.spec.Name)
			return ok && node == slot.Node
		})
		if !published {
			err := errors.New(slot.Node + " has no record that is marked as the fleet's")
			errs = append(errs, withCode(exitUnverified, fleet.WithHint(err, "see why with 'fleetctl dnsaddr sync --dry-run'")))
		}
	}
	return errs
}

// probe uses one record's address.
func (s *session) probe(ctx context.Context, rec dnsaddr.Record) verifiedRow {
	owner, _ := rec.Owner()
	row := verifiedRow{Node: owner.Relay, Address: rec.Value, Steps: []stepRow{}}
	addr, err := rec.Addr()
	if err != nil {
		row.Verdict, row.Step, row.Error = fleet.Unreachable, "parse", err.Error()
		return row
	}
	row.Address, row.PeerID = addr.Dial(), addr.PeerID()
	p, err := s.b.Prober.Probe(ctx, addr)
	if err != nil {
		row.Verdict, row.Step, row.Error = unknownVerdict, "probe", err.Error()
		return row
	}
	row.Verdict = p.Verdict
	for _, step := range p.Steps {
		row.Steps = append(row.Steps, stepRow{Name: step.Name, TookMS: milliseconds(step.Took), Error: step.Err})
		row.TookMS += milliseconds(step.Took)
		if step.Err != "" && row.Error == "" {
			row.Step, row.Error = step.Name, step.Err
		}
	}
	return row
}

// verdict is the error of a fleet that is not verified: exit 4, naming who.
func (v verifyView) verdict() error {
	errs := slices.Clone(v.problems)
	for _, r := range v.Relays {
		if !r.Verdict.Verified() {
			err := fmt.Errorf("%s: %s: %s at step %q: %s", r.Node, r.Address, r.Verdict, r.Step, r.Error)
			code := exitUnverified
			if r.Verdict == unknownVerdict {
				code = exitPartial // nothing was found out
			}
			errs = append(errs, withCode(code, ofNode(r.Node, lookAt(r.Node, err))))
		}
	}
	return errors.Join(errs...)
}

func (v verifyView) Table() render.Table {
	t := render.Table{Columns: []render.Column{
		{Name: "node"}, {Name: "verdict"}, {Name: "took"}, {Name: "peer id"}, {Name: "address"},
		{Name: "step", Show: render.WideOnly}, {Name: "error", Show: render.WideOnly},
	}, Empty: "no record of ours at " + v.Name}
	for _, r := range v.Relays {
		t.Rows = append(t.Rows, []any{r.Node, toned(string(r.Verdict)), time.Duration(r.TookMS) * time.Millisecond, render.PeerID(r.PeerID), r.Address, r.Step, r.Error})
	}
	return t
}
