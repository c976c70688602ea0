package provider

import (
	"context"
	"errors"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/diagnosis"
	"github.com/relayfleet/fleetctl/pkg/provider/local"
)

// zoneHost is a provider whose fleet is published in a local zone: the zone's server
// lives in the supervisor of this computer, whoever makes the machines.
type zoneHost struct {
	fleet.Provider
	here *local.Provider
}

// Serve starts the zone's server.
func (z *zoneHost) Serve(ctx context.Context) error { return z.here.Serve(ctx) }

// Leftovers names what both keep.
func (z *zoneHost) Leftovers(ctx context.Context) ([]string, error) {
	there, err := z.Provider.Leftovers(ctx)
	here, hereErr := z.here.Leftovers(ctx)
	if err := errors.Join(err, hereErr); err != nil {
		return nil, err
	}
	return append(there, here...), nil
}

// Cleanup removes what both keep, this computer's last: the keys to the boxes are there.
func (z *zoneHost) Cleanup(ctx context.Context) error {
	if err := z.Provider.Cleanup(ctx); err != nil {
		return err
	}
	return z.here.Cleanup(ctx)
}

// Diagnose is that of the provider of the machines, which may have nothing to say.
func (z *zoneHost) Diagnose(ctx context.Context) []diagnosis.Finding {
	if d, ok := z.Provider.(diagnosis.Doctor); ok {
		return d.Diagnose(ctx)
	}
	return nil
}

// Unwrap is the provider of the machines.
func (z *zoneHost) Unwrap() fleet.Provider { return z.Provider }

// withZone adds the server of a local zone to a provider, where the fleet has one.
func withZone(p fleet.Provider, here *local.Provider, s fleet.Spec) fleet.Provider {
	if s.DNS.Zone != "local" {
		return p
	}
	return &zoneHost{Provider: p, here: here}
}
