package zone

import (
	"cmp"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/credential"
	"github.com/relayfleet/fleetctl/pkg/zone/cloudflare"
)

// openCloudflare opens the zone at Cloudflare that a spec and the environment say.
func openCloudflare(c Config) (dnsaddr.Zone, error) {
	s := c.DNS.Cloudflare
	return cloudflare.New(cloudflare.Config{
		Domain: c.Domain, ZoneID: cmp.Or(s.ZoneID, c.Env("CLOUDFLARE_ZONE_ID")), BaseURL: c.Env("CLOUDFLARE_BASE_URL"), Log: c.Log,
		Token: credential.From(s.Token, []string{"CLOUDFLARE_API_TOKEN"}, c.Env, c.Path),
	})
}
