package main

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"github.com/mr-tron/base58"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// defaultLintTTL stands in made-up records where no spec says otherwise.
const defaultLintTTL = 5 * time.Minute

// perRegion is how many made-up relays stand in a region where nobody says otherwise.
const perRegion = 200

// unspecified is a spec for fleets of which nothing is known but their size.
func unspecified() fleet.Spec {
	return fleet.Spec{
		Name: "madeup", DNS: fleet.DNSSpec{Domain: "p2p.example", TTL: defaultLintTTL},
		Relay: fleet.RelaySpec{Port: 9100, QUICPort: 9101},
	}
}

// madeUpFleet turns a spec into that of n relays in so many regions, at a provider that
// counts them; 0 regions: three, or more for a large fleet.
func madeUpFleet(spec fleet.Spec, n, regions int) fleet.Spec {
	if regions == 0 {
		regions = min(n, max(3, (n+perRegion-1)/perRegion))
	}
	spec.Nodes = make([]fleet.NodeSpec, regions)
	for i := range spec.Nodes {
		spec.Nodes[i] = fleet.NodeSpec{Region: fmt.Sprintf("region%d", i+1), Count: (n - i + regions - 1) / regions}
	}
	if spec.Provider == fleet.ProviderHosts {
		spec.Provider = fleet.ProviderDigitalOcean
	}
	return spec
}

// madeUpRecords are those of relays that nobody runs, by the rules by which real ones are
// published.
func madeUpRecords(spec fleet.Spec) ([]dnsaddr.Record, error) {
	ids := make(map[string]string)
	var machines []fleet.Machine
	for i, slot := range spec.Slots() {
		key := sha256.Sum256(fmt.Append(nil, "a relay that nobody runs: ", i))
		ids[slot.Node] = base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, key[:]...))
		machines = append(machines, fleet.Machine{Node: slot.Node, Region: slot.Region, Addrs: madeUpAddrs(spec, i)})
	}
	return fleet.PublishedAll(spec, machines, ids)
}

// madeUpAddrs are public addresses of the greatest length.
func madeUpAddrs(spec fleet.Spec, i int) []netip.Addr {
	high, low := byte(100+i/100), byte(100+i%100)
	addrs := []netip.Addr{netip.AddrFrom4([4]byte{198, 151, high, low})}
	if spec.Provider == fleet.ProviderDigitalOcean {
		six := netip.MustParseAddr("2600:1f18:1111:2222:3333:4444:5555:6666").As16()
		six[14], six[15] = 0x10+high, low
		addrs = append(addrs, netip.AddrFrom16(six))
	}
	return addrs
}
