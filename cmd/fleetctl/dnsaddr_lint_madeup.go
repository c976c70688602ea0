package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/mr-tron/base58"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// defaultLintTTL stands in made-up records where no spec says otherwise.
const defaultLintTTL = 5 * time.Minute

// perRegion is how many made-up relays stand in a region where nobody says otherwise.
const perRegion = 200

// madeUpNodes are n nodes in so many regions; 0: three, or more for a large fleet.
func madeUpNodes(n, regions int) []dnsaddr.Node {
	if regions == 0 {
		regions = min(n, max(3, (n+perRegion-1)/perRegion))
	}
	nodes := make([]dnsaddr.Node, n)
	for i := range nodes {
		region, number := fmt.Sprintf("region%d", i%regions+1), i/regions+1
		nodes[i] = dnsaddr.Node{Name: fmt.Sprintf("%s-%d", region, number), Region: region, Number: number}
	}
	return nodes
}

// madeUpRecords publishes made-up relays at their names, as the spec's policy has it.
func madeUpRecords(spec fleet.Spec, l dnsaddr.Layout, nodes []dnsaddr.Node) []dnsaddr.Record {
	var out []dnsaddr.Record
	for i, n := range nodes {
		addrs := madeUpAddrs(spec, i)
		for _, name := range l.At(n.Name) {
			most := l.Addresses(name)
			if spec.DNS.Publish.Addresses > 0 {
				most = spec.DNS.Publish.Addresses
			}
			for _, addr := range addrs[:min(most, len(addrs))] {
				out = append(out, dnsaddr.Record{Name: name, Value: "dnsaddr=" + addr, TTL: spec.DNS.TTL})
			}
		}
	}
	return out
}

// madeUpAddrs are the addresses of the i-th relay, the most useful first, at public IPs
// of the greatest length.
func madeUpAddrs(spec fleet.Spec, i int) []string {
	key := sha256.Sum256(fmt.Append(nil, "a relay that nobody runs: ", i))
	id := base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, key[:]...))
	hosts := map[string]string{
		"ip4": fmt.Sprintf("/ip4/198.151.%d.%d", 100+i/100, 100+i%100),
		"ip6": fmt.Sprintf("/ip6/2600:1f18:1111:2222:3333:4444:%x:%x", 0x1000+i/100, 0x1000+i%100),
	}
	ports := []struct {
		transport, text string
		port            int
	}{
		{"tcp", "/tcp/%d", spec.Relay.Port},
		{"quic", "/udp/%d/quic-v1", spec.Relay.QUICPort},
		{"ws", "/tcp/%d/ws", spec.Relay.WSPort},
	}
	policy := spec.DNS.Publish
	var out []string
	for _, p := range ports {
		for _, family := range []string{"ip4", "ip6"} {
			if p.port == 0 || !allows(policy.Transports, p.transport) || !allows(policy.Families, family) {
				continue
			}
			out = append(out, hosts[family]+fmt.Sprintf(p.text, p.port)+"/p2p/"+id)
		}
	}
	return out
}

// allows reports whether a list that may be empty, for everything, has a word.
func allows(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
