package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// publish adds the records of relays that were seen to serve, and repairs TTLs and
// comments of the records that stay.
func (p *planner) publish() {
	if !p.state.Records.OK() {
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("the zone could not be read, so no record is changed: %v", p.state.Records.Err), true)
		return
	}
	var adds, updates []Change
	for _, s := range p.slots {
		m, ok := p.held(s.Node)
		if !ok {
			continue
		}
		if err := p.broken[m.ID]; err != nil {
			p.plan.Kept = append(p.plan.Kept, Kept{Ref: machineRef(m), Reason: err.Error(), Problem: true, Hint: Hint(err)})
		}
		switch {
		case m.Problem != "": // nothing of it is waited for
		case p.stranger(m):
			p.postpone(ActionPublish, Ref{Kind: KindRecord, Node: s.Node}, "its peer ID", true)
		case p.peer(m) != "" && len(m.Addrs) == 0:
			p.postpone(ActionPublish, Ref{Kind: KindRecord, Node: s.Node}, "its machine to have an address", true)
		}
		for _, t := range p.wanted[m.ID] {
			p.publishOne(m, t, &adds, &updates)
		}
	}
	for _, rec := range p.owned {
		// A record that is on its way out keeps its TTL: the wait after it depends on it.
		if fields := p.recordDrift(rec); len(fields) > 0 && (p.belongs(rec) || p.mightBeOf(rec)) && !p.closed(p.spot(rec).name) {
			updates = append(updates, Change{
				Action: ActionUpdate, Ref: p.recordRef(p.home(rec), rec),
				Fields: fields, Reason: "the record differs from the spec",
			})
		}
	}
	p.stage(StagePublish, 1, append(adds, updates...))
	p.keepClosed()
}

// keepClosed names, each once, the names at which something ought to be published and
// cannot be. The other names get their records.
func (p *planner) keepClosed() {
	if err := p.state.Closed.Err; err != nil {
		p.keep(Ref{Kind: KindFleet}, fmt.Sprintf("whether every name takes records is not known: %v", err), true)
	}
	for _, name := range p.pub.layout.Names() {
		if err := p.state.Closed.Value[name]; err != nil && p.shut[name] {
			p.plan.Kept = append(p.plan.Kept, Kept{
				Ref: Ref{Kind: KindFleet}, Problem: true, Hint: Hint(err),
				Reason: fmt.Sprintf("nothing is published at %s: %v", name, err),
			})
		}
	}
}

// closed reports whether a name at which something is wanted takes no records, and notes it
// for keepClosed.
func (p *planner) closed(name string) bool {
	if p.state.Closed.Value[name] == nil {
		return false
	}
	p.shut[name] = true
	return true
}

// publishOne compares one target with the records that are there.
func (p *planner) publishOne(m Machine, t target, adds, updates *[]Change) {
	at := t.spot
	_, ours := p.ours[at]
	rec, theirs := p.theirs[at]
	ref := p.ref(m.Node, at)
	switch {
	case theirs && p.keeps(rec):
		// One of somebody else with our relay's address serves clients as well.
		return
	case p.closed(at.name), ours:
		// One of ours that still stands where a name is delegated is shown to nobody.
		return
	case theirs && p.adoptable(rec, m):
		p.told[at] = true
		*updates = append(*updates, Change{Action: ActionUpdate, Ref: ref, Fields: p.recordDrift(rec), Reason: "it is our relay's, and its comment does not say so: it is adopted"})
		return
	case theirs:
		p.told[at] = true
		p.plan.Kept = append(p.plan.Kept, unadopted(ref, rec.Comment))
		return
	}
	reason := "the relay serves and is not published"
	if !p.verified(t.addr) {
		if !p.want.Unverified {
			// Where another address serves, waiting for this one holds nobody up.
			p.postpone(ActionPublish, ref, "a probe that finds it serving; last: "+describe(p.state.Probes[t.addr]), !p.servesSomewhere(m))
			return
		}
		reason = "--unverified: no probe found it serving: " + describe(p.state.Probes[t.addr])
	}
	*adds = append(*adds, Change{Action: ActionPublish, Ref: ref, Fields: []Field{ttlField("", p.spec.DNS.TTL)}, Reason: reason})
}

// unadopted says why a record of our relay stays somebody else's.
func unadopted(ref Ref, comment string) Kept {
	k := Kept{Ref: ref, Problem: true, Reason: "it stands there with the comment " + quote(comment)}
	if dnsaddr.Claimed(comment) {
		k.Reason += ", which claims it for another fleet: it is not taken over"
		k.Hint = "see whose the record is: if that fleet is gone, clear the comment in the zone and run 'fleetctl dnsaddr sync'"
	} else {
		k.Reason += ": --adopt takes it over"
		k.Hint = "take the record over with 'fleetctl dnsaddr sync --adopt', or write its address into dns.keep"
	}
	return k
}

// servesSomewhere reports whether some address of m is verified.
func (p *planner) servesSomewhere(m Machine) bool {
	return slices.ContainsFunc(p.wanted[m.ID], func(t target) bool { return p.verified(t.addr) })
}

// fieldComment is the comment of a record.
const fieldComment = "comment"

// recordDrift compares what stands beside a value. It needs no reading of the box.
func (p *planner) recordDrift(rec dnsaddr.Record) []Field {
	var out []Field
	if rec.TTL != p.spec.DNS.TTL {
		out = append(out, ttlField(ttlSeconds(rec.TTL), p.spec.DNS.TTL))
	}
	if rec.Split {
		out = append(out, Field{Name: "strings", From: "several", To: "1"})
	}
	if want := p.owner(p.home(rec)).Comment(); rec.Comment != want {
		out = append(out, Field{Name: fieldComment, From: rec.Comment, To: want})
	}
	return out
}

func (p *planner) owner(node string) dnsaddr.Owner {
	return dnsaddr.Owner{Fleet: p.spec.Name, Relay: node}
}

func ttlField(from string, to time.Duration) Field {
	return Field{Name: "ttl", From: from, To: ttlSeconds(to)}
}

// ttlSeconds prints a TTL as zone files do.
func ttlSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
