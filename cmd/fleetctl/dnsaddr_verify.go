package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newDNSAddrVerify(a *app) *cobra.Command {
	var ask servers
	var require int
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Resolve the fleet's names as clients do, and dial what comes",
		Long: `Resolve the fleet's names as clients do, and dial what comes: ask the zone's name servers
one by one and compare them with the zone, then resolvers by UDP, TCP, TLS and HTTPS, follow
records that point to other names, and use every address that any of them gave. A server that
serves something else than the zone holds is named with what it serves and for how long.

Exit 4 if a server serves something else, or an address of ours does not work; 3 if a server
did not answer, a name server could not be found, or a probe could not be made. Resolvers are those of dns.resolvers; without
any, public ones are asked of a public zone, and none of another.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("dnsaddr", "verify")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			done := a.busy("resolving " + s.spec.DNS.RecordName() + " and probing what comes")
			v, err := s.verifyNames(cmd.Context(), ask, require)
			done()
			if err != nil {
				return err
			}
			return errors.Join(a.show(v), v.verdict())
		},
	}
	ask.register(cmd)
	cmd.Flags().Var((*amount)(&require), "require", "exit 4 if fewer relays than this are verified, whatever else is well")
	return cmd
}

// namesView is what `fleetctl dnsaddr verify` found.
type namesView struct {
	Name      string       `json:"name"`
	Records   int          `json:"records"` // that the zone holds
	DNSSEC    string       `json:"dnssec"`
	Servers   []serverRow  `json:"servers"`
	Addresses []addressRow `json:"addresses"`
	Verified  int          `json:"verified"` // relays of ours, by peer ID
	Required  int          `json:"required"`
	Warnings  []string     `json:"warnings"`
	Errors    []string     `json:"errors"`
	OK        bool         `json:"ok"`

	problems []error
}

// addressRow is one address that a server gave.
type addressRow struct {
	verifiedRow
	Ours    bool     `json:"ours"`
	Old     bool     `json:"old"`     // the zone does not hold it any more
	Names   []string `json:"names"`   // at which it stands
	Servers []string `json:"servers"` // that gave it
}

// verifyNames resolves, compares and dials.
func (s *session) verifyNames(ctx context.Context, ask servers, require int) (namesView, error) {
	v := namesView{Name: s.spec.DNS.RecordName(), Required: require, Errors: []string{}}
	sources, unfound, err := s.sources(ctx, ask, false)
	if err != nil {
		return v, err
	}
	found, err := s.survey(ctx, sources, unfound)
	if err != nil {
		return v, err
	}
	v.Records, v.Servers, v.DNSSEC = len(found.records), found.rows(), string(dnssecOf(found.readings))
	v.Addresses = s.dial(ctx, found)
	v.Warnings = append(found.notes(), v.foreign()...)
	v.problems = found.problems()
	if len(sources) == 0 {
		v.problems = append(v.problems, withCode(exitPartial, fleet.WithHint(errors.New("resolve: no DNS server could be asked"), "name one with --authority or --resolver")))
	}
	v.problems = append(v.problems, s.withoutRecord(found.records)...)
	v.problems = append(v.problems, v.judge()...)
	for _, p := range v.problems {
		v.Errors = append(v.Errors, p.Error())
	}
	v.OK = len(v.Errors) == 0
	return v, ctx.Err()
}

// dial uses every address that any server gave, once.
func (s *session) dial(ctx context.Context, found survey) []addressRow {
	held := make(map[string]dnsaddr.Record)
	for _, rec := range found.records {
		if _, ok := rec.OwnedBy(s.spec.Name); ok || held[rec.Value].Value == "" {
			held[rec.Value] = rec
		}
	}
	at := make(map[dnsaddr.Addr]int)
	rows, records := []addressRow{}, []dnsaddr.Record{}
	for _, r := range found.readings {
		for _, f := range r.Found {
			i, seen := at[f.Addr]
			if !seen {
				rec, ok := held[f.Record.Value]
				if !ok {
					rec = dnsaddr.Record{Value: f.Record.Value}
				}
				i, at[f.Addr] = len(rows), len(rows)
				_, ours := rec.OwnedBy(s.spec.Name)
				rows = append(rows, addressRow{Ours: ours, Old: !ok && f.Depth == 0})
				records = append(records, rec)
			}
			rows[i].Names, rows[i].Servers = append(rows[i].Names, f.Record.Name), append(rows[i].Servers, r.Source.Server.String())
		}
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range rows {
		rows[i].Names, rows[i].Servers = unique(rows[i].Names), unique(rows[i].Servers)
		group.Go(func() error {
			rows[i].verifiedRow = s.probe(ctx, records[i])
			return nil
		})
	}
	_ = group.Wait() // a row carries its own error
	slices.SortStableFunc(rows, func(a, b addressRow) int {
		return slices.Compare([]string{a.Node, a.Address}, []string{b.Node, b.Address})
	})
	return rows
}

func unique(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// judge counts the verified relays of ours and names the addresses that do not work.
func (v *namesView) judge() []error {
	var errs []error
	verified := make(map[string]bool)
	for _, r := range v.Addresses {
		switch {
		case !r.Ours:
			continue
		case r.Verdict.Verified():
			verified[r.PeerID] = true
			continue
		}
		code := exitUnverified
		if r.Verdict == unknownVerdict {
			code = exitPartial
		}
		err := fmt.Errorf("%s: %s: %s at step %q: %s (resolved by %s)", r.Node, r.Address, r.Verdict, r.Step, r.Error, shortList(r.Servers))
		errs = append(errs, withCode(code, ofNode(r.Node, lookAt(r.Node, err))))
	}
	v.Verified = len(verified)
	if v.Verified < v.Required {
		errs = append(errs, withCode(exitUnverified, fmt.Errorf("%d relays are verified, %d are required", v.Verified, v.Required)))
	}
	return errs
}

// foreign warns of addresses of others that do not work.
func (v *namesView) foreign() []string {
	out := []string{}
	for _, r := range v.Addresses {
		if !r.Ours && !r.Verdict.Verified() {
			whose := "not ours"
			if r.Old {
				whose = "no longer in the zone"
			}
			out = append(out, fmt.Sprintf("%s, %s: %s at step %q: %s (resolved by %s)", r.Address, whose, r.Verdict, r.Step, r.Error, shortList(r.Servers)))
		}
	}
	return out
}

// shortList names a few and counts the rest.
func shortList(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}

func (v namesView) verdict() error { return errors.Join(v.problems...) }

func (v namesView) Table() render.Table {
	t := serversTable(v.Servers)
	t.Facts = []render.Fact{
		{Name: "name", Value: v.Name}, {Name: "records in the zone", Value: v.Records}, {Name: "verified relays", Value: v.Verified}, {Name: "dnssec", Value: v.DNSSEC},
	}
	addresses := render.Table{Title: "Addresses", Columns: []render.Column{
		{Name: "node"}, {Name: "ours"}, {Name: "verdict"}, {Name: "took"}, {Name: "peer id"}, {Name: "address"}, {Name: "servers"},
		{Name: "names", Show: render.WideOnly}, {Name: "step", Show: render.WideOnly}, {Name: "error", Show: render.WideOnly},
	}, Empty: "no address was resolved", Notes: v.Warnings}
	for _, r := range v.Addresses {
		var node any
		if r.Node != "" {
			node = r.Node
		}
		addresses.Rows = append(addresses.Rows, []any{
			node, r.Ours, toned(string(r.Verdict)), time.Duration(r.TookMS * float64(time.Millisecond)), render.PeerID(r.PeerID), r.Address, len(r.Servers),
			strings.Join(r.Names, " "), r.Step, r.Error,
		})
	}
	t.More = []render.Table{addresses}
	return t
}
