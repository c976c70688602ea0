package relay

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/stats"
)

// week is the Thursday on which the made-up week begins: a Monday, at which cohorts
// begin, lies in it.
var week = time.Date(2026, 1, 8, 0, 0, 0, 0, time.UTC)

// person is one of the population, and what is true of it.
type person struct {
	id                               peer.ID
	agent, addr                      string
	program, tier, transport, family string
	first, last                      time.Time
	days                             map[time.Time]bool // on which it was connected
	met                              map[string]bool    // nodes
	region                           string             // of the relay that saw it last
}

// venue is one relay, and who is there.
type venue struct {
	node, region string
	cfg          Config
	relay        *Relay
	skew         time.Duration // of its clock, ahead of ours; whole minutes
	nat          network.Reachability
	away         bool  // it serves, and the collector does not reach it
	since        int64 // the minute to ask from
	there        map[*person]time.Time
	held         map[*person]bool // reservations
}

// world is the population, the relays, and what happened until now.
type world struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	peers   []*person
	relays  []*venue
	own     map[peer.ID]bool
	done    stats.Counters
	lengths []float64     // sessions that ended, by length
	minutes map[int64]int // connected at the end of a minute, over all relays
}

func newWorld(t *testing.T, population int) *world {
	t.Helper()
	w := &world{
		t: t, random: rand.New(rand.NewPCG(1, 2)), now: week, own: make(map[peer.ID]bool), minutes: make(map[int64]int),
		lengths: make([]float64, len(stats.SessionBounds())+1),
		done:    stats.Counters{RefusedReserve: make(map[string]uint64), RefusedCircuit: make(map[string]uint64)},
	}
	addrs := [][3]string{
		{"/ip4/8.8.8.8/tcp/1", "tcp", "ipv4"}, {"/ip6/2600::1/udp/1/quic-v1", "quic-v1", "ipv6"}, {"/ip4/8.8.4.4/tcp/1/ws", "ws", "ipv4"},
	}
	for range population {
		id, _ := someone(t)
		addr := addrs[w.random.IntN(len(addrs))]
		tier, program := []string{"edge", "core"}[w.random.IntN(2)], []string{"bitterbot", "other-client"}[w.random.IntN(2)]
		w.peers = append(w.peers, &person{
			id: id, addr: addr[0], transport: addr[1], family: addr[2], tier: tier, program: program,
			agent: program + "/1." + strconv.Itoa(w.random.IntN(3)) + ".0/" + tier, days: make(map[time.Time]bool), met: make(map[string]bool),
		})
	}
	for i, region := range []string{"fra1", "nyc1", "sgp1"} {
		v := &venue{node: region + "-1", region: region, skew: []time.Duration{0, 2 * time.Minute, -time.Hour}[i]}
		v.nat = []network.Reachability{network.ReachabilityPublic, network.ReachabilityPrivate, network.ReachabilityUnknown}[i]
		w.relays = append(w.relays, v)
		w.open(v)
	}
	w.introduce()
	return w
}

// open makes a relay with nothing in its state directory.
func (w *world) open(v *venue) {
	w.t.Helper()
	v.cfg = loopback(w.t)
	v.there, v.held, v.since = make(map[*person]time.Time), make(map[*person]bool), 0
	w.boot(v)
}

// boot starts the daemon on the state directory that there is.
func (w *world) boot(v *venue) {
	w.t.Helper()
	v.relay = idle(w.t, v.cfg)
	v.relay.reachability.Store(int32(v.nat))
	w.own[v.relay.ID()] = true
}

// introduce tells every relay of the others.
func (w *world) introduce() {
	for _, v := range w.relays {
		v.relay.ledger.setFleet(slices.Collect(maps.Keys(w.own)))
	}
}

// live goes through the week minute by minute.
func (w *world) live(store *history.Store) {
	probe, _ := someone(w.t)
	for minute := range 7 * 24 * 60 {
		w.now = week.Add(time.Duration(minute) * time.Minute)
		for _, v := range w.relays {
			v.relay.ledger.minute(w.now.Add(v.skew))
			w.minutes[w.now.Add(-time.Minute).Unix()] += len(v.there)
		}
		ofDay := minute % (24 * 60)
		if ofDay >= 10 && ofDay < 24*60-10 { // quiet around midnight, so that days are told apart
			for _, v := range w.relays {
				w.happen(v)
			}
		}
		w.now = w.now.Add(30 * time.Second)
		if minute == 5 || minute%240 == 30 || // from before anybody came: what was counted before a first collection is in no step
			ofDay == 24*60-5 {
			w.collect(w.t.Context(), store)
		}
		w.accident(minute)
		if minute%360 == 100 {
			l := w.relays[0].relay.ledger
			l.connected(probe, nil, mustAddr(w.t, "/ip4/8.8.8.8/tcp/1"), w.now)
			l.identified(probe, stats.ProbeAgent("1"), nil, w.now)
			l.disconnected(probe, w.now)
			other := w.relays[1].relay.ID()
			l.connected(other, nil, mustAddr(w.t, "/ip4/8.8.8.8/tcp/1"), w.now)
			l.identified(other, "x/1/y", nil, w.now)
		}
	}
	w.now = week.Add(7*24*time.Hour - 5*time.Minute + 30*time.Second) // of the last collection
	for _, v := range w.relays {
		for _, p := range w.sorted(v) {
			w.sight(v, p, v.there[p], w.now)
		}
	}
}

// accident is what goes wrong. A collection comes between the last user of a machine and its end.
func (w *world) accident(minute int) {
	const hour, day = 60, 24 * 60
	fra, nyc, sgp := w.relays[0], w.relays[1], w.relays[2]
	switch minute {
	case day + 5*hour + 30: // a restart in order
		w.everybodyOut(fra)
		w.restart(fra)
	case 2*day + 7*hour + 30: // kill -9, with the census written
		w.everybodyOut(nyc)
		w.restart(nyc)
	case 3*day + 12*hour + 30, 5*day + 12*hour + 29:
		sgp.away = !sgp.away
	case 6*day + 3*hour + 30: // a new machine in its place, with another key
		w.empty(fra)
	case 6*day + 3*hour + 31 + hour:
		_ = fra.relay.Close()
		w.open(fra)
		w.introduce()
	}
}

// everybodyOut counts the sessions that a process takes with it.
func (w *world) everybodyOut(v *venue) {
	for _, p := range w.sorted(v) {
		w.left(v, p, w.now)
	}
}

// restart ends the process: what is open in its books ends now.
func (w *world) restart(v *venue) {
	w.t.Helper()
	at := w.now.Add(v.skew)
	if v.node == "nyc1-1" {
		v.relay.archive.told(at)
	} else {
		v.relay.ledger.close(at)
	}
	if err := v.relay.archive.flush(at); err != nil {
		w.t.Fatal(err)
	}
	if err := v.relay.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.boot(v)
	w.introduce()
}

// empty lets everybody go in order.
func (w *world) empty(v *venue) {
	for _, p := range w.sorted(v) {
		v.relay.ledger.disconnected(p.id, w.now.Add(v.skew))
		w.left(v, p, w.now)
	}
}

func (w *world) sorted(v *venue) []*person {
	return slices.DeleteFunc(slices.Clone(w.peers), func(p *person) bool { return v.there[p].IsZero() })
}

// happen is one minute on one relay.
func (w *world) happen(v *venue) {
	at := w.now.Add(time.Duration(5+w.random.IntN(20)) * time.Second)
	p := w.peers[w.random.IntN(1+w.random.IntN(len(w.peers)))] // some come often, some once
	l, clock := v.relay.ledger, at.Add(v.skew)
	switch _, in := v.there[p]; {
	case in && w.random.IntN(3) == 0:
		l.disconnected(p.id, clock)
		l.released(p.id)
		w.left(v, p, at)
	case in:
		w.use(v, p, clock)
	case w.random.IntN(8) == 0 && !w.leaving(v):
		l.connected(p.id, nil, mustAddr(w.t, p.addr), clock)
		l.identified(p.id, p.agent, nil, clock)
		w.joined(v, p, at)
	}
}

// leaving: the machine is about to be replaced.
func (w *world) leaving(v *venue) bool {
	at := w.now.Sub(week)
	return v.node == "fra1-1" && at > 147*time.Hour && at < 149*time.Hour
}

func (w *world) use(v *venue, p *person, clock time.Time) {
	l := v.relay.ledger
	switch w.random.IntN(6) {
	case 0:
		l.granted(p.id, clock.Add(time.Hour*24*30), clock)
		if v.held[p] {
			w.done.Renewed++
			return
		}
		v.held[p] = true
		w.done.Granted++
	case 1:
		l.circuitOpened(p.id, clock)
		w.done.Circuits++
	case 2:
		why := []string{"RESERVATION_REFUSED", "RESOURCE_LIMIT_EXCEEDED"}[w.random.IntN(2)]
		l.refused(p.id, reserveRequest, why, clock)
		w.done.RefusedReserve[why]++
	case 3:
		why := []string{"NO_RESERVATION", "CONNECTION_FAILED"}[w.random.IntN(2)]
		l.refused(p.id, connectRequest, why, clock)
		w.done.RefusedCircuit[why]++
	default:
		n := uint64(w.random.IntN(1 << 20))
		l.sessions[p.id].flow.passed(int(n))
		w.done.BytesRelayed += n
	}
}

func (w *world) joined(v *venue, p *person, at time.Time) {
	v.there[p] = at
	w.done.Joined++
	if p.first.IsZero() {
		p.first = at
	}
	p.met[v.node] = true
	w.sight(v, p, at, at)
}

func (w *world) left(v *venue, p *person, at time.Time) {
	since := v.there[p]
	delete(v.there, p)
	delete(v.held, p)
	w.done.Left++
	w.done.Sessions++
	secs := uint64(at.Sub(since) / time.Second)
	w.done.SessionSecs += secs
	longer := slices.IndexFunc(stats.SessionBounds(), func(most uint64) bool { return secs <= most })
	if longer < 0 {
		longer = len(w.lengths) - 1
	}
	w.lengths[longer]++
	w.sight(v, p, since, at)
}

// sight notes that a person was on a relay from since to at.
func (w *world) sight(v *venue, p *person, since, at time.Time) {
	if at.After(p.last) {
		p.last, p.region = at, v.region
	}
	for day := since.Truncate(24 * time.Hour); !day.After(at); day = day.Add(24 * time.Hour) {
		p.days[day] = true
	}
}

// concurrent is how many are there now, and the most at the end of any minute of a day.
func (w *world) concurrent() (now, peak float64) {
	last := w.now.Truncate(time.Minute).Add(-time.Minute)
	for m := last; m.After(last.Add(-24 * time.Hour)); m = m.Add(-time.Minute) {
		peak = max(peak, float64(w.minutes[m.Unix()]))
	}
	return float64(w.minutes[last.Unix()]), peak
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
