package fleet

import (
	"slices"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// PublishedServing lists the relays of ours that are published, by peer ID: those that
// [VerifiedPublished] counts, and those that may serve although it does not count them.
// Of these nobody could tell, or the probe is older than rollout.probe_max_age, or another
// box reaches the relay and we do not. One whose box says that it does not run is known
// not to serve, and in neither list.
func PublishedServing(s Spec, st State) (verified, unsure []string) {
	r := assign(s, st, Intent{})
	found := r.ledger().all
	for peer, records := range r.byPeer {
		switch {
		case found[peer] > 0:
			verified = append(verified, peer)
		case !r.idles(peer, records) && slices.ContainsFunc(records, r.mayServe):
			unsure = append(unsure, peer)
		}
	}
	slices.Sort(verified)
	slices.Sort(unsure)
	return verified, unsure
}

// mayServe reports whether nothing rules out that the relay at a record's address serves.
// One that was verified was so too long ago.
func (r *roles) mayServe(rec dnsaddr.Record) bool {
	a := r.addr(rec)
	if _, known := r.answers(rec); !known {
		return true
	}
	v := r.state.Probes[a].Value.Verdict
	return v == Elsewhere || v.Verified()
}

// idles reports whether a relay is known not to run: its box says so, or the provider says
// that every machine of its node is off.
func (r *roles) idles(peer string, records []dnsaddr.Record) bool {
	if m, ok := r.peerNode[peer]; ok {
		return !r.state.Relays[m.ID].Value.Active
	}
	node, off := nodeOf(records[0]), false
	for _, m := range r.state.Machines.Value {
		if m.Node != node {
			continue
		}
		if m.Status != StatusStopped {
			return false
		}
		off = true
	}
	return off
}

// Sees reports whether some address was found serving: our own network is not cut off.
func (st State) Sees() bool {
	for _, p := range st.Probes {
		if p.OK() && p.Value.Verdict.Verified() {
			return true
		}
	}
	return false
}

// Blind reports whether a probe says nothing of the relay: nothing answered from here, no
// other box was asked, and nothing else was seen to serve, as sees says ([State.Sees]).
// Then it may be our own network that is dead.
func (p Probe) Blind(sees bool) bool { return p.Verdict == Unreachable && p.Via == Here && !sees }
