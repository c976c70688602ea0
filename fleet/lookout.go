package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Lookout asks the DNS servers that clients of the fleet ask. It changes nothing.
type Lookout interface {
	// Sightings lists the addresses that servers give at the fleet's names. A server that
	// does not answer is left out: what it would say is unknown.
	Sightings(ctx context.Context) ([]Sighting, error)
}

// Sighting is an address that a DNS server gives to clients.
type Sighting struct {
	Addr   dnsaddr.Addr
	Server string        // for people
	Left   time.Duration // that whoever asks now may keep it
}

// errStillGiven is why a relay is not retired: its address is gone from the zone, and clients
// are sent there all the same.
var errStillGiven = errors.New("clients are still sent there")

// lookEvery is how often servers are asked that still give what is gone.
const lookEvery = 5 * time.Second

// forgotten returns when no DNS server gives an address of m's relay any more that the
// zone does not hold, at most after rollout.healthy_deadline: a cache that keeps records
// for longer than it may, a secondary that does not follow. Without a [Lookout], or where
// nobody knows who the relay is, the time that passed has to be enough.
func (r *run) forgotten(ctx context.Context, stage string, c Change, m Machine) error {
	if r.b.Lookout == nil {
		return nil
	}
	rel := read(ctx, func(ctx context.Context) (Relay, error) { return r.b.Hosts.Inspect(ctx, m) })
	if !rel.OK() || rel.Value.PeerID == "" {
		r.reporter.note(stage, c, "its relay cannot be asked who it is: nobody looked whether DNS servers still give its address")
		return ctx.Err()
	}
	began := time.Now()
	for {
		late, err := r.lateOf(ctx, rel.Value.PeerID)
		switch {
		case err != nil:
			return fmt.Errorf("ask the DNS servers: %w", err)
		case late.Addr.IsZero():
			return nil
		}
		what := fmt.Sprintf("%s gives %s, which is not in the zone any more, for %s", late.Server, late.Addr.Dial(), late.Left)
		if time.Since(began) >= r.spec.Rollout.HealthyDeadline {
			return WithHint(fmt.Errorf("%w: %s", errStillGiven, what), "see why with `fleetctl dnsaddr verify`; when it is gone, run the same command again")
		}
		r.reporter.waiting(stage, c, what)
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// lateOf finds an address of a relay that a server gives and the zone does not hold.
func (r *run) lateOf(ctx context.Context, peer string) (Sighting, error) {
	seen, err := r.looks.since(ctx, time.Now(), r.b, r.spec)
	for _, s := range seen {
		if s.Addr.PeerID() == peer {
			return s, err
		}
	}
	return Sighting{}, err
}

// looks is the last look at the DNS servers, which machines that go side by side share.
type looks struct {
	mu    sync.Mutex
	began time.Time
	late  []Sighting
	err   error
}

// since is what a look found that began no sooner than at: what is given and is not in the
// zone. The zone is read first: what leaves it meanwhile is late, and looked at again.
func (l *looks) since(ctx context.Context, at time.Time, b Backends, s Spec) ([]Sighting, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.began.Before(at) {
		return l.late, l.err
	}
	l.began, l.late = time.Now(), nil
	now := read(ctx, func(ctx context.Context) ([]dnsaddr.Record, error) { return b.Zone.Records(ctx, s.DNS.RecordName()) })
	if l.err = now.Err; l.err != nil {
		return nil, l.err
	}
	held := make(map[string]bool, len(now.Value))
	for _, rec := range now.Value {
		held[rec.Value] = true
	}
	var seen []Sighting
	seen, l.err = b.Lookout.Sightings(ctx)
	for _, one := range seen {
		if !held[one.Addr.Value()] {
			l.late = append(l.late, one)
		}
	}
	return l.late, l.err
}
