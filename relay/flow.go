package relay

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/stats"
)

// flow is what goes through the circuits that one connected peer opened. Its bytes are
// counted without the ledger's lock: there are thousands of writes in a second.
type flow struct {
	open  int                           // circuits now; under the ledger's lock
	to    atomic.Pointer[atomic.Uint64] // where its bytes count; nil: not known yet what the peer is
	early atomic.Uint64                 // bytes that do not count yet
}

// passed counts bytes that were passed on, in whatever direction.
func (f *flow) passed(n int) {
	f.early.Add(uint64(max(0, n))) //nolint:gosec // not negative
	f.settle()
}

// count says where bytes count from now on, and those that did not yet.
func (f *flow) count(to *atomic.Uint64) {
	f.to.Store(to)
	f.settle()
}

func (f *flow) settle() {
	if to := f.to.Load(); to != nil {
		to.Add(f.early.Swap(0))
	}
}

// is says what a peer is, and with that where its bytes count. Callers hold mu.
func (l *ledger) is(s *session, what kind) {
	s.kind = what
	switch what {
	case user:
		s.flow.count(&l.bytes)
	case fleetRelay, prober:
		s.flow.count(&l.ownBytes)
	case unidentified:
	}
}

// circuitOpened counts a circuit for the peer that asked for it, and returns what counts
// the bytes that go through.
func (l *ledger) circuitOpened(p peer.ID, now time.Time) *flow {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := new(flow)
	if s := l.sessions[p]; s != nil {
		f = s.flow
	} else {
		f.count(&l.bytes) // of one that is gone already
	}
	f.open++
	l.used(p, now, stats.Counters{Circuits: 1})
	return f
}

// circuitClosed notes that a circuit ended, also that of a peer that is gone.
func (l *ledger) circuitClosed(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.open--
}
