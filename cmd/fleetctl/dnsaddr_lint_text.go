package main

import (
	"fmt"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// notes say what the numbers mean for whoever runs the fleet.
func (v lintView) notes() []string {
	notes := []string{"the columns are relays that /dnsaddr/" + v.domain() + " leads to, by the largest UDP answer that arrives; by peer id: relays that are found with /p2p/ID at one of the names; queries and bytes are those of the first column"}
	entry := 0
	for _, n := range v.Names {
		if n.Name == v.Name {
			entry = n.Relays
		}
	}
	if v.Source != lintedDNS && v.Relays > entry && entry > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d relays stand at the entry name, all of them in the lists: give a client that wants others /dnsaddr/<list>.%s", entry, v.Relays, v.domain()))
	}
	for _, c := range v.Clients {
		if c.Client == dnsaddr.NimLibp2p {
			return append(notes, v.nim(c))
		}
	}
	return notes
}

// nim says what a client gets that reads one packet of 512 bytes.
func (v lintView) nim(c lintedClient) string {
	text := fmt.Sprintf("nim-libp2p reads one packet of %d bytes: it tries %d", dnsaddr.MaxUDP, c.Tried)
	switch {
	case v.Compact != "":
		return text + fmt.Sprintf(", and %d of /dnsaddr/%s", c.Compact, strings.TrimPrefix(v.Compact, "_dnsaddr."))
	case v.Source != lintedDNS && c.Tried < min(v.Relays, dnsaddr.CompactRelays):
		return text + fmt.Sprintf("; dns.publish.compact: few would give it /dnsaddr/few.%s, with up to %d", v.domain(), dnsaddr.CompactRelays)
	}
	return text
}

func (v lintView) domain() string { return strings.TrimPrefix(v.Name, "_dnsaddr.") }

// lossTable has what is lost, once for all clients that lose the same in the same networks.
func (v lintView) lossTable() render.Table {
	type loss struct {
		reason    dnsaddr.Reason
		name, fix string
		count     int
	}
	type ofClient struct {
		loss
		client string
	}
	type inNetworks struct {
		loss
		networks string
	}
	var each []ofClient
	in := make(map[ofClient][]string)
	for _, c := range v.Clients {
		for _, l := range c.Losses {
			k := ofClient{loss{l.Reason, l.Name, l.Fix, l.Count}, string(c.Client)}
			if len(in[k]) == 0 {
				each = append(each, k)
			}
			in[k] = append(in[k], c.Network)
		}
	}
	var order []inNetworks
	clients := make(map[inNetworks][]string)
	for _, k := range each {
		row := inNetworks{k.loss, strings.Join(in[k], "; ")}
		if len(in[k]) == len(v.networks()) {
			row.networks = "any"
		}
		if len(clients[row]) == 0 {
			order = append(order, row)
		}
		clients[row] = append(clients[row], k.client)
	}
	t := render.Table{Title: "not used", Columns: []render.Column{
		{Name: "records"}, {Name: "at"}, {Name: "why"}, {Name: "client"}, {Name: "network"}, {Name: "what to change"},
	}}
	for _, k := range order {
		t.Rows = append(t.Rows, []any{k.count, k.name, lossText(k.reason), strings.Join(clients[k], ", "), k.networks, k.fix})
	}
	return t
}

// lossText is a reason in words.
func lossText(r dnsaddr.Reason) string {
	switch r {
	case dnsaddr.LostTruncated:
		return "the answer does not fit, and no TCP"
	case dnsaddr.LostTooLarge:
		return "beyond 64 KiB"
	case dnsaddr.LostLimit:
		return "beyond what it looks at"
	case dnsaddr.LostForeign:
		return "it gives up on a text that is no dnsaddr record"
	case dnsaddr.LostMalformed:
		return "no multiaddr"
	case dnsaddr.LostStrings:
		return "several strings"
	case dnsaddr.LostNoID:
		return "no peer ID at the end"
	case dnsaddr.LostPointer:
		return "the name that it leads to"
	case dnsaddr.LostTransport:
		return "a transport that it does not speak"
	}
	return string(r)
}

// findingTable has what clients stumble over: of several names with the same trouble the
// first one.
func (v lintView) findingTable() render.Table {
	type key struct{ grade, check, fix string }
	t := render.Table{Title: "findings", Columns: []render.Column{{Name: "grade"}, {Name: "check"}, {Name: "at"}, {Name: "detail"}, {Name: "what to change"}}}
	var order []key
	same := make(map[key][]lintedFinding)
	for _, f := range v.Findings {
		k := key{string(f.Grade), f.Check, f.Fix}
		if f.Grade == dnsaddr.Problem && f.Check != "size" {
			k.check += " " + f.Detail // each of them is to be seen
		}
		if len(same[k]) == 0 {
			order = append(order, k)
		}
		same[k] = append(same[k], f)
	}
	for _, k := range order {
		f, more := same[k][0], len(same[k])-1
		at, tone := f.Name, render.Plain
		if more > 0 {
			at = fmt.Sprintf("%s and %d more", f.Name, more)
		}
		switch f.Grade {
		case dnsaddr.Problem:
			tone = render.Bad
		case dnsaddr.Warning:
			tone = render.Warn
		}
		t.Rows = append(t.Rows, []any{render.Toned{Value: string(f.Grade), Tone: tone}, f.Check, at, f.Detail, f.Fix})
	}
	return t
}
