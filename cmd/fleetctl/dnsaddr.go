package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/relayfleet/fleetctl/dnsaddr"
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
	Name    string `json:"name"`
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
		row := recordRow{Name: rec.Name, Value: rec.Value, TTL: int(rec.TTL / time.Second), Comment: rec.Comment}
		row.Node, row.Ours = rec.OwnedBy(s.spec.Name)
		if addr, err := rec.Addr(); err == nil {
			row.PeerID = addr.PeerID()
		}
		v.Records = append(v.Records, row)
	}
	return v
}

func (v recordsView) Table() render.Table {
	nameColumn := render.Column{Name: "name", Show: render.WideOnly}
	if slices.ContainsFunc(v.Records, func(r recordRow) bool { return r.Name != v.Records[0].Name }) {
		nameColumn.Show = render.Always
	}
	t := render.Table{
		Columns: []render.Column{
			{Name: "node"}, {Name: "ours"}, {Name: "ttl"}, {Name: "peer id", Show: render.WideOnly}, {Name: "value"}, {Name: "comment", Show: render.WideOnly}, nameColumn,
		},
		Empty: fmt.Sprintf("no records at %s", v.Name),
	}
	for _, r := range v.Records {
		var node any
		if r.Node != "" {
			node = r.Node
		}
		t.Rows = append(t.Rows, []any{node, r.Ours, r.TTL, render.PeerID(r.PeerID), r.Value, r.Comment, r.Name})
	}
	return t
}
