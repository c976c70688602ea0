// Package zone is the list of places where a fleet's records can live. A new one is a
// folder beside this file and a line in Open.
package zone

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/zone/local"
)

// Config is what a zone may need to know.
type Config struct {
	Domain string // of the fleet
	Dir    string // where a zone may keep files of its own
	// Serve makes sure that the zone's own server runs, where the zone has one that
	// somebody must start. Nil: nothing does.
	Serve func(context.Context) error

	Fleet string                   // its name
	DNS   fleet.DNSSpec            // where the zone is, and where its secrets are
	Env   func(name string) string // the environment
	Path  func(path string) string // makes a path as the spec has it absolute
	Log   *slog.Logger
}

// Kinds lists the zones that Open accepts.
func Kinds() []string { return []string{fleet.ZoneLocal, fleet.ZoneCloudflare, fleet.ZoneRFC2136} }

// Open returns the zone of that kind. It reads and writes nothing yet.
func Open(kind string, c Config) (dnsaddr.Zone, error) {
	switch kind {
	case fleet.ZoneLocal:
		z, err := local.New(c.Dir, c.Domain)
		if err != nil {
			return nil, err
		}
		return &served{Zone: z, serve: c.Serve}, nil
	case fleet.ZoneCloudflare:
		return openCloudflare(c)
	case fleet.ZoneRFC2136:
		return openRFC2136(c)
	}
	return nil, fmt.Errorf("unknown zone %q: accepted are %s", kind, strings.Join(Kinds(), ", "))
}

// served starts a zone's server before something is written to it.
type served struct {
	dnsaddr.Zone
	serve func(context.Context) error
}

func (s *served) Apply(ctx context.Context, name string, c dnsaddr.Changes) error {
	if s.serve != nil && !c.Empty() {
		if err := s.serve(ctx); err != nil {
			return err
		}
	}
	return s.Zone.Apply(ctx, name, c)
}
