package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// Where what is judged comes from.
const (
	lintedLayout = "layout" // of relays that nobody runs
	lintedZone   = "zone"   // the fleet's own
	lintedDNS    = "dns"    // a resolver
)

// lintView is what clients make of the names of a fleet.
type lintView struct {
	Name     string          `json:"name"`
	Source   string          `json:"source"`   // layout, zone or dns
	Resolver string          `json:"resolver"` // that was asked, "" if none was
	Compact  string          `json:"compact"`  // the name for clients that read 512 bytes, "" without one
	Relays   int             `json:"relays"`   // peer IDs, at all names
	Names    []lintedName    `json:"names"`
	Clients  []lintedClient  `json:"clients"`
	Findings []lintedFinding `json:"findings"`
	Errors   []string        `json:"errors"` // names that did not answer
	OK       bool            `json:"ok"`     // every kind of client that could find relays does
}

// lintedName is one name.
type lintedName struct {
	Name    string `json:"name"`
	Relays  int    `json:"relays"`
	Records int    `json:"records"`
	Bytes   int    `json:"bytes"` // of the whole answer, with EDNS
	TTL     int    `json:"ttl"`   // seconds, 0 if it is not known
	Alias   string `json:"alias"` // where a CNAME leads, "" without one
}

// lintedClient is a kind of client in a network.
type lintedClient struct {
	Client   dnsaddr.Family `json:"client"`
	Network  string         `json:"network"`
	Tried    int            `json:"tried"`      // relays, of /dnsaddr/<domain>
	ByPeerID int            `json:"by_peer_id"` // relays that are found by /p2p/ID at one of the names
	Compact  int            `json:"compact"`    // relays, of the compact name
	Queries  int            `json:"queries"`    // for /dnsaddr/<domain>
	Bytes    int            `json:"bytes"`      // of all answers
	Failed   dnsaddr.Reason `json:"failed"`     // why it gives up, "" if it does not
	Losses   []lintedLoss   `json:"losses"`

	dead bool `json:"-"` // it finds nothing where it could
}

// lintedLoss is what a kind of client does not use.
type lintedLoss struct {
	Name   string         `json:"name"`
	Reason dnsaddr.Reason `json:"reason"`
	Count  int            `json:"count"` // of records
	Fix    string         `json:"fix"`
}

// lintedFinding is something that clients stumble over.
type lintedFinding struct {
	Grade  dnsaddr.Grade `json:"grade"`
	Check  string        `json:"check"`
	Name   string        `json:"name"`
	Detail string        `json:"detail"`
	Fix    string        `json:"fix"`
}

// newLintView judges names as the flags ask.
func newLintView(r dnsaddr.Review, flags lintFlags) lintView {
	v := lintView{
		Name: r.Entry, Relays: len(r.Answers.Relays()), Names: lintedNames(r.Entry, r.Answers), OK: true,
		Clients: []lintedClient{}, Findings: []lintedFinding{}, Errors: []string{},
	}
	for _, j := range dnsaddr.Judge(r.Entry, r.Answers) {
		if flags.client.value != everyClient && string(j.Family) != flags.client.value || flags.tcpBlocked && !j.Network.NoTCP {
			continue
		}
		c := lintedClient{
			Client: j.Family, Network: j.Network.String(), Tried: len(j.Relays), ByPeerID: j.Pinned,
			Queries: j.Queries, Bytes: j.Bytes, Failed: j.Failed, Losses: []lintedLoss{},
		}
		for _, l := range j.Losses {
			c.Losses = append(c.Losses, lintedLoss{Name: l.Name, Reason: l.Reason, Count: l.Count, Fix: r.Fix(l, j.Family, j.Network)})
		}
		// A network without TCP is judged where the operator asked for it: a layout may
		// need TCP, and the findings say so.
		c.dead = len(j.Addrs) == 0 && j.Family.CanReceive(j.Network) && (!j.Network.NoTCP || flags.tcpBlocked)
		v.OK = v.OK && !c.dead
		v.Clients = append(v.Clients, c)
	}
	for _, f := range r.Findings() {
		v.Findings = append(v.Findings, lintedFinding(f))
	}
	return v.withCompact(r.Answers, r.Compact)
}

// withCompact adds what clients make of the compact name.
func (v lintView) withCompact(answers dnsaddr.Answers, name string) lintView {
	v.Compact = name
	if name == "" {
		return v
	}
	clients, domain := dnsaddr.NewClients(answers), strings.TrimPrefix(name, "_dnsaddr.")
	for i := range v.Clients {
		c := &v.Clients[i]
		for _, n := range dnsaddr.Networks() {
			if n.String() == c.Network {
				c.Compact = len(clients.Resolve(c.Client, n, domain, "").Relays)
			}
		}
	}
	return v
}

func lintedNames(entry string, answers dnsaddr.Answers) []lintedName {
	out := []lintedName{}
	for _, name := range slices.SortedFunc(maps.Keys(answers), func(a, b string) int {
		return dnsaddr.Record{Name: a}.Compare(dnsaddr.Record{Name: b})
	}) {
		a := answers[name]
		one := dnsaddr.Answers{name: a}
		row := lintedName{
			Name: name, Relays: len(one.Relays()), Records: len(a.Texts), Bytes: a.Size(name, true),
			TTL: int(a.TTL / time.Second), Alias: a.Alias,
		}
		if name == entry {
			out = append([]lintedName{row}, out...)
		} else {
			out = append(out, row)
		}
	}
	return out
}

// verdict is exit 4 if a kind of client finds nothing where it could.
func (v lintView) verdict() error {
	if !v.OK {
		return silently(exitUnverified)
	}
	return nil
}

func (v lintView) Table() render.Table {
	t := render.Table{Facts: v.facts(), Columns: []render.Column{{Name: "client"}}}
	networks := v.networks()
	for _, n := range networks {
		t.Columns = append(t.Columns, render.Column{Name: n})
	}
	t.Columns = append(t.Columns, render.Column{Name: "by peer id"}, render.Column{Name: "queries"}, render.Column{Name: "bytes"})
	for i := 0; i < len(v.Clients); i += len(networks) {
		first := v.Clients[i]
		row := []any{string(first.Client)}
		for _, c := range v.Clients[i : i+len(networks)] {
			row = append(row, c.cell())
		}
		t.Rows = append(t.Rows, append(row, first.ByPeerID, first.Queries, first.Bytes))
	}
	t.Notes = v.notes()
	if losses := v.lossTable(); len(losses.Rows) > 0 {
		t.More = append(t.More, losses)
	}
	if findings := v.findingTable(); len(findings.Rows) > 0 {
		t.More = append(t.More, findings)
	}
	return t
}

// cell is how many relays a client tries, red where it finds none and could.
func (c lintedClient) cell() any {
	switch {
	case c.dead:
		return render.Toned{Value: c.Tried, Tone: render.Bad}
	case c.Tried == 0:
		return render.Toned{Value: c.Tried, Tone: render.Warn}
	}
	return c.Tried
}

// networks of the view, in their order.
func (v lintView) networks() []string {
	var out []string
	for _, c := range v.Clients {
		if !slices.Contains(out, c.Network) {
			out = append(out, c.Network)
		}
	}
	return out
}

func (v lintView) facts() []render.Fact {
	facts := []render.Fact{{Name: "name", Value: v.Name}}
	if v.Resolver != "" {
		facts = append(facts, render.Fact{Name: "resolver", Value: v.Resolver})
	}
	facts = append(facts, render.Fact{Name: "relays", Value: v.Relays})
	lists, most, bytes := 0, 0, 0
	for _, n := range v.Names {
		switch n.Name {
		case v.Name:
			facts = append(facts, render.Fact{Name: "entry name", Value: fmt.Sprintf("%d relays, %d records, %d bytes", n.Relays, n.Records, n.Bytes)})
		case v.Compact:
			facts = append(facts, render.Fact{Name: "compact name", Value: fmt.Sprintf("%s: %d relays, %d bytes", n.Name, n.Relays, n.Bytes)})
		default:
			lists, most, bytes = lists+1, max(most, n.Relays), max(bytes, n.Bytes)
		}
	}
	if lists > 0 {
		facts = append(facts, render.Fact{Name: "other names", Value: fmt.Sprintf("%d, of at most %d relays and %d bytes", lists, most, bytes)})
	}
	return facts
}

// CSV has a row for each client and network.
func (v lintView) CSV() render.Table {
	t := render.Table{Columns: []render.Column{
		{Name: "name"}, {Name: "client"}, {Name: "network"}, {Name: "tried"}, {Name: "by_peer_id"}, {Name: "compact"}, {Name: "queries"}, {Name: "bytes"}, {Name: "failed"},
	}}
	for _, c := range v.Clients {
		t.Rows = append(t.Rows, []any{v.Name, string(c.Client), c.Network, c.Tried, c.ByPeerID, c.Compact, c.Queries, c.Bytes, string(c.Failed)})
	}
	return t
}
