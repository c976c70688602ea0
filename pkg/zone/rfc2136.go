package zone

import (
	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/credential"
	"github.com/relayfleet/fleetctl/pkg/zone/rfc2136"
)

// openRFC2136 is the zone at a primary that takes dynamic updates.
func openRFC2136(c Config) (dnsaddr.Zone, error) {
	s := c.DNS.RFC2136
	return rfc2136.New(rfc2136.Config{
		Domain: c.Domain, Zone: s.Zone, Server: s.Server, KeyName: s.KeyName, KeyAlgorithm: s.KeyAlgorithm,
		Secret: credential.From(s.Key, []string{"RFC2136_TSIG_SECRET"}, c.Env, c.Path), Log: c.Log,
	})
}
