package fleet

import (
	"fmt"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// PublishedAll lists what [Published] lists for each of the machines, in their order, and
// makes the layout once. Peer IDs are by node. It ends with the first machine whose
// relay has addresses and none that may be published.
func PublishedAll(s Spec, machines []Machine, peerIDs map[string]string) ([]dnsaddr.Record, error) {
	p := newPublisher(s)
	var out []dnsaddr.Record
	for _, m := range machines {
		targets, err := p.targets(m, peerIDs[m.Node])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Node, err)
		}
		for _, t := range targets {
			out = append(out, dnsaddr.Record{
				Name: t.name, Value: t.value, TTL: s.DNS.TTL,
				Comment: dnsaddr.Owner{Fleet: s.Name, Relay: m.Node}.Comment(),
			})
		}
	}
	return out, nil
}
