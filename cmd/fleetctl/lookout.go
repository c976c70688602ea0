package main

import (
	"context"

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

// Look implements [fleet.Lookout]: at all names that the layout has, by the zone's name
// servers and by resolvers. Where nobody answers, resolvers are asked in every way that they
// take: networks that close port 53 are common.
func (l lookout) Look(ctx context.Context) (fleet.Look, error) {
	seen, err := l.look(ctx, true)
	if err == nil && seen.Heard == 0 && len(seen.Unheard) > 0 {
		return l.look(ctx, false)
	}
	return seen, err
}

func (l lookout) look(ctx context.Context, brief bool) (seen fleet.Look, err error) {
	sources, unfound, err := l.s.sources(ctx, servers{}, brief)
	if err != nil {
		return seen, err
	}
	want := make(resolve.Wanted)
	for _, name := range l.s.spec.Layout().Names() {
		want[name] = nil
	}
	all := survey{readings: new(resolve.Client).Survey(ctx, sources, want)}
	for _, r := range all.readings {
		for _, f := range r.Found {
			if f.Depth == 0 { // what others' records lead to is theirs
				seen.Seen = append(seen.Seen, fleet.Sighting{Addr: f.Addr, Server: r.Source.Server.String(), Left: f.Record.TTL})
			}
		}
		switch {
		case r.Err == nil:
			seen.Heard++
		case r.State == resolve.Unknown && (all.answered(r.Source.Name) || all.hidden(r.Source)):
		default:
			seen.Unheard = append(seen.Unheard, r.Err)
		}
	}
	seen.Unheard = append(seen.Unheard, unfound...)
	return seen, ctx.Err()
}
