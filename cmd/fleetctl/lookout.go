package main

import (
	"context"
	"errors"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// lookout asks whom `verify` asks, for the gates of a run.
type lookout struct{ s *session }

var _ fleet.Lookout = lookout{}

// lookout of a zone that others serve; nil for the local one, which answers by itself.
func (s *session) lookout() fleet.Lookout {
	if s.spec.DNS.Zone == fleet.ZoneLocal {
		return nil
	}
	return lookout{s}
}

// Sightings implements [fleet.Lookout]: at all names that the layout has, by the zone's name
// servers and by resolvers.
func (l lookout) Sightings(ctx context.Context) ([]fleet.Sighting, error) {
	sources, _, err := l.s.sources(ctx, servers{}, true)
	if err != nil {
		return nil, err
	}
	want := make(resolve.Wanted)
	for _, name := range l.s.spec.Layout().Names() {
		want[name] = nil
	}
	var out []fleet.Sighting
	for _, r := range new(resolve.Client).Survey(ctx, sources, want) {
		if cut := r.Err; ctx.Err() != nil && errors.Is(cut, ctx.Err()) {
			return nil, ctx.Err()
		}
		for _, f := range r.Found {
			if f.Depth == 0 { // what others' records lead to is theirs
				out = append(out, fleet.Sighting{Addr: f.Addr, Server: r.Source.Server.String(), Left: f.Record.TTL})
			}
		}
	}
	return out, ctx.Err()
}
