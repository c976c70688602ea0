package fleet

import (
	"fmt"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// ledger is a set of records of which it is known how many verified relays they name, in
// all and at the entry name. It follows a plan, record by record.
type ledger struct {
	roles   *roles
	set     map[spot]bool
	all     map[string]int // verified records of a relay, by peer ID; none is no entry
	entry   map[string]int // those of them at the entry name
	atEntry int            // records at the entry name, verified or not
}

// ledger of our records.
func (r *roles) ledger() *ledger {
	l := &ledger{roles: r, set: make(map[spot]bool, len(r.owned)), all: make(map[string]int), entry: make(map[string]int)}
	for _, rec := range r.owned {
		l.add(r.spot(rec))
	}
	return l
}

func (l *ledger) add(at spot) {
	if !l.set[at] {
		l.set[at] = true
		l.count(at, 1)
	}
}

func (l *ledger) remove(at spot) {
	if l.set[at] {
		delete(l.set, at)
		l.count(at, -1)
	}
}

func (l *ledger) count(at spot, n int) {
	entry := at.name == l.roles.entry()
	if entry {
		l.atEntry += n
	}
	peer := l.verified(at)
	if peer == "" {
		return
	}
	bump(l.all, peer, n)
	if entry {
		bump(l.entry, peer, n)
	}
}

func bump(counts map[string]int, peer string, n int) {
	if counts[peer] += n; counts[peer] == 0 {
		delete(counts, peer)
	}
}

// verified is the peer ID of the relay at a record's address, "" if that is not verified.
func (l *ledger) verified(at spot) string {
	a, known := l.roles.parsed[at.value]
	if !known { // one that is yet to be published
		a, _ = dnsaddr.ParseValue(at.value)
	}
	if a.IsZero() || !l.roles.verified(a) {
		return ""
	}
	return a.PeerID()
}

// mustStay says why a record must stay in the set: without it fewer relays than the floor
// are verified, in all or at the entry name, and it is one that serves, or that could not
// be probed: unknown is not absent. A relay that is known not to serve can go at any
// number. It is "" for a record that may go.
func (l *ledger) mustStay(at spot) string {
	if !l.set[at] {
		return ""
	}
	_, known := l.roles.answers(dnsaddr.Record{Value: at.value})
	unknown := !l.roles.parsed[at.value].IsZero() && !known
	peer := l.verified(at)
	below := func(counts map[string]int, floor int) (left int, below bool) {
		left = len(counts)
		takes := peer != "" && counts[peer] == 1
		if takes {
			left--
		}
		return left, (takes || unknown) && left < floor
	}
	if left, is := below(l.all, l.roles.spec.DNS.MinRelays); is {
		return fmt.Sprintf("withdrawing it leaves %d verified relays published, the floor is %d", left, l.roles.spec.DNS.MinRelays)
	}
	if at.name != l.roles.entry() {
		return ""
	}
	floor := l.roles.entryFloor()
	if left, is := below(l.entry, floor); is {
		return fmt.Sprintf("withdrawing it leaves %d verified relays at %s, the floor is %d", left, at.name, floor)
	}
	return ""
}

// entryFloor is how many verified relays the entry name keeps: as many as the floor says,
// or all that the layout has there.
func (r *roles) entryFloor() int {
	return min(r.spec.DNS.MinRelays, max(1, r.pub.layout.Relays(r.entry())))
}

// VerifiedPublished counts the relays of ours that are published and were probed as
// serving, recently enough: what the floor dns.min_relays is compared with.
func VerifiedPublished(s Spec, st State) int {
	return len(assign(s, st, Intent{}).ledger().all)
}
