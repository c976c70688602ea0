package relay

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// granted notes a reservation. A renewal is counted apart.
func (l *ledger) granted(p peer.ID, until, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, held := l.reservation[p]
	l.reservation[p] = until
	if held && old.After(now) {
		l.used(p, now, stats.Counters{Renewed: 1})
		return
	}
	l.used(p, now, stats.Counters{Granted: 1})
}

// released notes that a peer with a reservation is gone.
func (l *ledger) released(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.reservation, p)
}

// refused counts a request that got another status than OK.
func (l *ledger) refused(p peer.ID, what request, status string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := map[string]uint64{status: 1}
	switch what {
	case reserveRequest:
		l.used(p, now, stats.Counters{RefusedReserve: one})
	case connectRequest:
		l.used(p, now, stats.Counters{RefusedCircuit: one})
	case otherRequest:
	}
}

// used counts what a user did. For a peer of which it is not known yet whether it is one,
// that waits.
func (l *ledger) used(p peer.ID, now time.Time, what stats.Counters) {
	s := l.sessions[p]
	switch {
	case s == nil: // connected and gone before its event was read
	case s.kind == user:
		l.counters.Reservations += what.Granted
		l.counters.Circuits += what.Circuits
		l.counters.Epoch.add(what)
	case s.kind == unidentified:
		if s.early == nil {
			s.early = new(stats.Counters)
		}
		*s.early = s.early.Plus(what)
		l.joinIfUsing(p, s, now)
	}
}
