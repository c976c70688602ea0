package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/render"
)

func newDNSAddr(a *app) *cobra.Command {
	return group("dnsaddr", "The fleet's _dnsaddr records",
		newDNSAddrList(a),
		newDNSAddrSync(a),
		newDNSAddrLint(a),
		newDNSAddrVerify(a),
		newDNSAddrWatch(a),
	)
}

func newDNSAddrSync(a *app) *cobra.Command {
	in := fleet.Intent{RecordsOnly: true}
	var flags mutationFlags
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Make the records what the fleet is; touch nothing else",
		Long: `Make the records what the fleet is; touch nothing else. A relay that does not answer
keeps its record, and is named. A record of somebody else is never touched.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.mutate(cmd.Context(), mutation{
				command: commandLine(cmd, nil), question: "Write these records?", flags: flags,
				intent: func(s *session, st fleet.State) (fleet.Intent, error) { return in, knownNodes(s.spec, st, in) },
				finish: finishSync,
			})
		},
	}
	flags.register(cmd)
	alsoFrom(cmd, "dry-run", "DRY_RUN")
	a.machineGoneFlag(cmd, &in.MachineGone)
	return cmd
}

func finishSync(ctx context.Context, s *session, o fleet.Outcome) error {
	return s.app.show(s.records(o.State.Records.Value))
}

func newDNSAddrList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "list",
		Short:             "List the records at the fleet's name, ours and others'",
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("dnsaddr", "list")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			records, err := s.b.Zone.Records(cmd.Context(), s.spec.DNS.RecordName())
			if err != nil {
				return err
			}
			return a.show(s.records(records))
		},
	}
}

// recordRow is one record in a list.
type recordRow struct {
	Node    string `json:"node"` // "" for a record of somebody else
	PeerID  string `json:"peer_id"`
	Value   string `json:"value"`
	TTL     int    `json:"ttl"` // seconds
	Ours    bool   `json:"ours"`
	Comment string `json:"comment"`
}

// recordsView lists the records at a name.
type recordsView struct {
	Name    string      `json:"name"`
	Records []recordRow `json:"records"`
}

func (s *session) records(all []dnsaddr.Record) recordsView {
	v := recordsView{Name: s.spec.DNS.RecordName(), Records: []recordRow{}}
	for _, rec := range all {
		row := recordRow{Value: rec.Value, TTL: int(rec.TTL / time.Second), Comment: rec.Comment}
		if o, ok := rec.Owner(); ok && o.Fleet == s.spec.Name {
			row.Node, row.Ours = o.Relay, true
		}
		if addr, err := rec.Addr(); err == nil {
			row.PeerID = addr.PeerID()
		}
		v.Records = append(v.Records, row)
	}
	return v
}

func (v recordsView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "node"}, {Name: "ours"}, {Name: "ttl"}, {Name: "peer id", Show: render.WideOnly}, {Name: "value"}, {Name: "comment", Show: render.WideOnly},
		},
		Empty: fmt.Sprintf("no records at %s", v.Name),
	}
	for _, r := range v.Records {
		var node any
		if r.Node != "" {
			node = r.Node
		}
		t.Rows = append(t.Rows, []any{node, r.Ours, r.TTL, render.PeerID(r.PeerID), r.Value, r.Comment})
	}
	return t
}
