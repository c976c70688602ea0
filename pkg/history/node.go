package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relayfleet/fleetctl/stats"
)

// readings takes them in node by node, in the order of nodes.
func (in *ingestion) readings(ctx context.Context, readings []stats.Reading) error {
	answered := make(map[string]string, len(readings)) // peer ID -> node
	for len(readings) > 0 {
		n := 1
		for n < len(readings) && readings[n].Node == readings[0].Node {
			n++
		}
		list := readings[:n]
		readings = readings[n:]
		if list[0].Node == "" {
			in.warn("%d readings of no node are left out", n)
			continue
		}
		in.sum.Relays++
		if err := in.node(ctx, list, answered); err != nil {
			return fmt.Errorf("%s: %w", clean(list[0].Node, 80), err)
		}
	}
	return nil
}

// node takes in what the machines of one node told. As a rule there is one; while a machine
// replaces another there are two, and each counts. Events, the cursor and the peer ID are
// those of the machine that was known before, for as long as that one may come back.
func (in *ingestion) node(ctx context.Context, list []stats.Reading, answered map[string]string) error {
	relay, err := in.relay(ctx, list[0])
	if err != nil {
		return err
	}
	list = in.honest(list, answered)
	slices.SortStableFunc(list, func(a, b stats.Reading) int { return cmp.Compare(relay.rank(a), relay.rank(b)) })
	answers := list[:0:0]
	for _, r := range list {
		if told(r) {
			answers = append(answers, r)
		}
		for _, w := range r.Warnings {
			in.warn("%s: %s", relay.node, w)
		}
	}
	whole := false
	rest := list
	if len(answers) == len(list) || len(answers) == 0 || relay.peerID == "" || relay.rank(list[0]) == 0 {
		rest = list[1:]
		if err := in.look(ctx, relay, list[0], len(answers) > 0); err != nil {
			return err
		}
		if whole, err = in.census(ctx, relay, list[0]); err != nil {
			return err
		}
	} else if err := in.lookReturned(ctx, relay); err != nil { // the known machine is silent, and another one answers
		return err
	}
	for _, r := range rest {
		all, err := in.second(ctx, relay, r)
		if err != nil {
			return err
		}
		whole = whole && all
	}
	if err := in.measure(ctx, relay, answers); err != nil {
		return err
	}
	return in.settle(ctx, relay, len(answers) > 0, whole)
}

// told reports whether a machine answered.
func told(r stats.Reading) bool { return r.Telemetry != nil || r.Report != nil }

// rank orders the machines of a node: the one that was known before, others that answer,
// those that do not.
func (r *relayRow) rank(of stats.Reading) int {
	switch {
	case !told(of):
		return 2
	case answerer(of) == r.peerID:
		return 0
	}
	return 1
}

// honest takes what strangers told out of the readings of one node: another relay answered
// there. A machine that is in it twice is left out once.
func (in *ingestion) honest(list []stats.Reading, answered map[string]string) []stats.Reading {
	out := make([]stats.Reading, 0, len(list))
	for _, r := range list {
		id := answerer(r)
		other, twice := answered[id]
		switch {
		case id == "" && told(r) && len(out) > 0:
			in.warn("a second reading of %q that does not say whose it is is left out", r.Node)
			continue
		case id == "":
		case twice && other == r.Node:
			in.warn("a second reading of %q is left out", r.Node)
			continue
		case twice || r.PeerID != "" && id != r.PeerID:
			text := "another relay answered: " + clean(id, 80)
			if twice {
				text += ", which is " + other
			}
			r = stats.Reading{Node: r.Node, Region: r.Region, PeerID: r.PeerID, Err: errors.New(text)}
		default:
			answered[id] = r.Node
		}
		out = append(out, r)
	}
	return out
}

// second takes in the census of another machine of a node, and reports whether all of it
// was read. One that does not answer is being made, or removed: it is told of.
func (in *ingestion) second(ctx context.Context, relay *relayRow, r stats.Reading) (whole bool, err error) {
	if !told(r) {
		in.warn("%s: another machine of it does not answer: %s", relay.node, silence(r))
		if r.Registry == nil && r.Delta == nil {
			return true, nil
		}
	}
	cursor, skew := relay.cursor, relay.skew
	relay.skew = in.skewOf(r)
	whole, err = in.census(ctx, relay, r)
	relay.cursor, relay.skew = cursor, skew
	return whole, err
}

// silence says why a machine told nothing.
func silence(r stats.Reading) string {
	if r.Err == nil {
		return "it sent no report"
	}
	return clean(r.Err.Error(), 500)
}

// settle notes whether a node answered, and whether its census was read to the end.
func (in *ingestion) settle(ctx context.Context, relay *relayRow, ok, whole bool) error {
	relay.tried = in.at
	if ok {
		relay.err = ""
		relay.answered = in.at
		in.sum.Answered++
	} else {
		in.sum.Missing = append(in.sum.Missing, relay.node)
	}
	if whole {
		relay.census = in.at
	} else {
		in.sum.Unread = append(in.sum.Unread, relay.node)
	}
	return in.saveRelay(ctx, relay)
}

// together are the gauges of the machines of a node: what can be added is, and the rest is
// that of the first.
func together(answers []stats.Reading) stats.Gauges {
	var sum stats.Gauges
	for i, r := range answers {
		g := gaugesOf(r)
		if i == 0 {
			sum = g
			continue
		}
		sum.Users, sum.FleetRelays, sum.Probes = sum.Users+g.Users, sum.FleetRelays+g.FleetRelays, sum.Probes+g.Probes
		sum.Reservations, sum.ReservationLimit = sum.Reservations+g.Reservations, sum.ReservationLimit+g.ReservationLimit
		sum.Circuits, sum.Peak = sum.Circuits+g.Circuits, max(sum.Peak, g.Peak)
	}
	return sum
}

func gaugesOf(r stats.Reading) stats.Gauges {
	if r.Telemetry != nil {
		return r.Telemetry.Gauges
	}
	return stats.Gauges{Users: r.Report.ConnectedPeers, Peak: r.Report.PeakConcurrentPeers, NATStatus: r.Report.NATStatus}
}
