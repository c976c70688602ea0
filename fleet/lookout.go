package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// Lookout asks the DNS servers that clients of the fleet ask. It changes nothing.
type Lookout interface {
	// Look asks for the addresses that servers give at the fleet's names. A server that does
	// not answer is no error: what it gives is unknown, and the look says so. An error means
	// that nobody could be asked.
	Look(ctx context.Context) (Look, error)
}

// Look is what DNS servers said, and who said nothing. The zero Look is of no server.
type Look struct {
	Seen    []Sighting
	Heard   int     // servers that answered for all names
	Unheard []error // of each of the others why not; a name server that was not found is one
}

// blind is why a look says nothing of what clients are given, nil if it says something or
// there is nobody to ask.
func (l Look) blind() error {
	if l.Heard > 0 || len(l.Unheard) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errUnheard, l.unheard())
}

// unheard names a few of the servers that did not answer and counts the rest.
func (l Look) unheard() string {
	const few = 3
	var texts []string
	for _, err := range l.Unheard[:min(few, len(l.Unheard))] {
		texts = append(texts, err.Error())
	}
	if rest := len(l.Unheard) - len(texts); rest > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(texts, "; ")
}

// Sighting is an address that a DNS server gives to clients.
type Sighting struct {
	Addr   dnsaddr.Addr
	Server string        // for people
	Left   time.Duration // that whoever asks now may keep it
}

// Why a relay is not retired although its address is gone from the zone.
var (
	errStillGiven = errors.New("clients are still sent there")
	errUnheard    = errors.New("no DNS server answers, so nobody knows whether clients are still sent there")
)

// lookEvery is how often servers are asked that still give what is gone, or say nothing.
const lookEvery = 5 * time.Second

// forgotten returns when no DNS server gives an address of m's relay any more that the
// zone does not hold, at most after rollout.healthy_deadline: a cache that keeps records
// for longer than it may, a secondary that does not follow. Servers of which none answers
// are waited for likewise: unknown is not absent. Those that are silent while others answer
// are named, once in a run. Without a [Lookout], or where neither who the relay is nor where
// its machine is known, the time that passed has to be enough.
func (r *run) forgotten(ctx context.Context, stage string, c Change, m Machine) error {
	if r.b.Lookout == nil {
		return nil
	}
	rel := read(ctx, func(ctx context.Context) (Relay, error) { return r.b.Hosts.Inspect(ctx, m) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	peer, addrs := rel.Value.PeerID, Announce(r.spec, m) // a box that is silent has no peer ID
	if peer == "" && len(addrs) == 0 {
		r.reporter.note(stage, c, "neither its peer ID nor its address is known: nobody looked whether DNS servers still give it")
		return nil
	}
	began := time.Now()
	for {
		seen, err := r.looks.since(ctx, time.Now(), r.b, r.spec)
		if err != nil {
			return fmt.Errorf("ask the DNS servers: %w", err)
		}
		why := given(seen.Seen, peer, addrs)
		if why == nil {
			why = seen.blind()
		}
		if why == nil {
			if silent := seen.unheard(); silent != "" && r.looks.tellOnce() {
				r.reporter.note(stage, c, "not every DNS server could be asked, and one that was not may still give what is gone: "+silent)
			}
			return nil
		}
		if time.Since(began) >= r.spec.Rollout.HealthyDeadline {
			return WithHint(why, wayOut(why))
		}
		r.reporter.waiting(stage, c, why.Error())
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// given is the first sighting of a relay as an error, nil if there is none: by its peer ID,
// or at its machine's addresses, which nobody else has while the machine is there.
func given(late []Sighting, peer string, addrs []string) error {
	for _, s := range late {
		if s.Addr.PeerID() == peer || slices.Contains(addrs, s.Addr.Dial()) {
			return fmt.Errorf("%w: %s gives %s, which is not in the zone any more, for %s", errStillGiven, s.Server, s.Addr.Dial(), s.Left)
		}
	}
	return nil
}

// wayOut is what an operator does about a relay that is not retired.
func wayOut(why error) string {
	if errors.Is(why, errUnheard) {
		return "name resolvers that this computer reaches in dns.resolvers, as https://dns.example/dns-query where port 53 is closed; then run the same command again"
	}
	return "see why with `fleetctl dnsaddr verify`; when it is gone, run the same command again"
}

// looks is the last look at the DNS servers, which machines that go side by side share.
type looks struct {
	mu    sync.Mutex
	began time.Time
	last  Look // what is seen and is in the zone left out
	err   error
	told  bool // of servers that are silent
}

// tellOnce reports whether it is the first call.
func (l *looks) tellOnce() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.told
	l.told = true
	return first
}

// since is what a look found that began no sooner than at: what is given and is not in the
// zone. The zone is read first: what leaves it meanwhile is late, and looked at again.
func (l *looks) since(ctx context.Context, at time.Time, b Backends, s Spec) (Look, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.began.Before(at) {
		return l.last, l.err
	}
	l.began, l.last = time.Now(), Look{}
	now := read(ctx, func(ctx context.Context) ([]dnsaddr.Record, error) { return b.Zone.Records(ctx, s.DNS.RecordName()) })
	if l.err = now.Err; l.err != nil {
		return Look{}, l.err
	}
	held := make(map[string]bool, len(now.Value))
	for _, rec := range now.Value {
		held[rec.Value] = true
	}
	l.last, l.err = b.Lookout.Look(ctx)
	l.last.Seen = slices.DeleteFunc(l.last.Seen, func(one Sighting) bool { return held[one.Addr.Value()] })
	return l.last, l.err
}
