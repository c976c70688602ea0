package zone

import (
	"cmp"
	"context"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/credential"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
)

// openCloudflare opens the zone at Cloudflare that a spec and the environment say.
func openCloudflare(c Config) (dnsaddr.Zone, error) {
	s := c.DNS.Cloudflare
	return cloudflare.New(cloudflare.Config{
		Domain: c.Domain, ZoneID: cmp.Or(s.ZoneID, c.Env("CLOUDFLARE_ZONE_ID")), BaseURL: c.Env("CLOUDFLARE_BASE_URL"), Log: c.Log,
		Token:   credential.From(s.Token, []string{"CLOUDFLARE_API_TOKEN"}, c.Env, c.Path),
		Resolve: values,
	})
}

// values asks a name server for the texts at a name.
func values(ctx context.Context, server, name string) ([]string, error) {
	client := resolve.Client{Packet: time.Second, Stream: 3 * time.Second}
	a, err := client.Ask(ctx, resolve.Server{Transport: resolve.Plain, Addr: server}, resolve.Question{Name: name})
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		return nil, err
	}
	return a.Values(), nil
}
