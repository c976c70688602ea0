package main

import (
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// adoptRow is one machine of an adoption.
type adoptRow struct {
	Node    string `json:"node"`
	Machine string `json:"machine"` // the provider's ID
	Name    string `json:"name"`
	Region  string `json:"region"`
	SSH     string `json:"ssh"`      // host:port
	HostKey string `json:"host_key"` // SHA256 fingerprint, "" if it was not read
	Pinned  bool   `json:"pinned"`   // before this command
	State   string `json:"state"`
	PeerID  string `json:"peer_id"` // "" before it is read, and where there is none
	Census  *int   `json:"census"`  // peers that its relay has met, null: not known
	Result  string `json:"result"`
	Error   string `json:"error"`
}

// adoptView is what `fleetctl adopt` found and did, sorted by node.
type adoptView struct {
	Fleet    string     `json:"fleet"`
	DryRun   bool       `json:"dry_run"`
	Machines []adoptRow `json:"machines"`
}

// adoption is the view of an adoption as far as it has come.
func (s *session) adoption(found []*adoptee, dry bool) adoptView {
	v := adoptView{Fleet: s.spec.Name, DryRun: dry, Machines: []adoptRow{}}
	for _, f := range found {
		row := adoptRow{
			Node: f.m.Node, Machine: f.m.ID, Name: f.m.Name, Region: f.m.Region, SSH: f.address(), Pinned: f.pinned,
			State: f.m.State, PeerID: f.relay.PeerID, Census: f.census, Result: f.result,
		}
		if f.key != "" {
			row.HostKey, _ = sshx.Fingerprint(f.key) // it was parsed when it was read
		}
		if row.SSH == "" {
			row.SSH = f.m.ID // a jump host
		}
		switch {
		case f.err != nil:
			row.Result, row.Error = adoptFailure, f.err.Error()
		case dry:
			row.Result = wouldAdopt
		}
		v.Machines = append(v.Machines, row)
	}
	return v
}

func (v adoptView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "node"}, {Name: "machine"}, {Name: "name", Drop: 3}, {Name: "region", Show: render.WideOnly}, {Name: "ssh", Drop: 2}, {Name: "host key"},
			{Name: "pinned", Drop: 4}, {Name: "state", Show: render.WideOnly}, {Name: "peer id"}, {Name: "census"}, {Name: "result"}, {Name: "error", Show: render.CSVOnly},
		},
		Empty: "no machines",
	}
	for _, r := range v.Machines {
		var key, peer, result any
		if r.HostKey != "" {
			key = r.HostKey
		}
		if r.PeerID != "" {
			peer = render.PeerID(r.PeerID)
		}
		if r.Result != "" {
			result = r.Result
		}
		t.Rows = append(t.Rows, []any{r.Node, r.Machine, r.Name, r.Region, r.SSH, key, r.Pinned, r.State, peer, r.Census, result, r.Error})
		switch r.Result {
		case trusted:
			t.Notes = append(t.Notes, r.Node+": there is no relay to adopt; its host key is pinned, and 'fleetctl up' installs one")
		case adoptFailure:
			t.Notes = append(t.Notes, r.Node+": "+r.Error)
		}
	}
	return t
}

// tellAdoption shows an adoption on stderr, for somebody who is about to be asked.
func (a *app) tellAdoption(s *session, found []*adoptee) error {
	return render.Write(a.stderr, s.adoption(found, false), render.Options{
		Width: a.columns(a.err), Colour: render.Colourful(a.globals.colour.value, a.getenv, a.err.terminal),
	})
}
