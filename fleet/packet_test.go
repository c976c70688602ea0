package fleet_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// widest are addresses of the greatest length, one of each family.
func widest(i int) []netip.Addr {
	four := netip.AddrFrom4([4]byte{198, 151, byte(100 + i/100), byte(100 + i%100)})
	six := netip.MustParseAddr("2600:1f18:1111:2222:3333:4444:5555:1000").As16()
	six[14], six[15] = 0x10+byte(i/256), byte(i)
	return []netip.Addr{four, netip.AddrFrom16(six)}
}

// The compact name fits into 512 bytes, and the entry name of a large fleet into 1,232,
// whatever the name's length and the family, transport and number of the addresses.
func TestPublished_FitsWhatClientsReceive(t *testing.T) {
	short := "p2p.example"
	long := strings.Repeat("long-label.", 8) + "example" // 95 bytes
	longest := strings.Repeat(strings.Repeat("l", 47)+".", 4) + strings.Repeat("l", 48)
	for _, c := range []struct {
		name           string
		domain         string
		publish        fleet.PublishSpec
		hosts          bool // machines with an IPv6 address alone, by the spec
		compact, entry int  // relays there, of 17
	}{
		{name: "IPv4", domain: short, compact: 4, entry: 10},
		{name: "IPv6 alone", domain: short, publish: fleet.PublishSpec{Families: []string{"ip6"}}, compact: 3, entry: 8},
		{name: "hosts with IPv6 alone", domain: short, hosts: true, compact: 3, entry: 8},
		{name: "hosts with IPv6 alone that is not published", domain: short, hosts: true, publish: fleet.PublishSpec{Families: []string{"ip4"}}, compact: 4, entry: 10},
		{name: "QUIC alone", domain: short, publish: fleet.PublishSpec{Transports: []string{"quic"}}, compact: 4, entry: 10},
		{name: "QUIC alone by IPv6", domain: short, publish: fleet.PublishSpec{Transports: []string{"quic"}, Families: []string{"ip6"}}, compact: 3, entry: 8},
		{name: "two addresses of each", domain: short, publish: fleet.PublishSpec{Addresses: 2}, compact: 4, entry: 10},
		{name: "a long name", domain: long, compact: 3, entry: 10},
		{name: "a long name, IPv6 alone", domain: long, publish: fleet.PublishSpec{Families: []string{"ip6"}}, compact: 2, entry: 8},
		{name: "the longest name, IPv6 alone", domain: longest, publish: fleet.PublishSpec{Families: []string{"ip6"}}, compact: 1, entry: 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 4, 16, 17, 100} {
				s := newSim(t, 1).spec
				s.DNS.Domain, s.DNS.Publish = c.domain, c.publish
				s.DNS.Publish.Compact = "few"
				s.Relay.QUICPort, s.Relay.WSPort = 9101, 9102
				s.Nodes = []fleet.NodeSpec{{Region: "ra", Count: n}}
				machines := make([]fleet.Machine, n)
				ids := make(map[string]string)
				if c.hosts {
					s.Provider = fleet.ProviderHosts
					for i := range n {
						s.Hosts = append(s.Hosts, fleet.HostSpec{Node: fmt.Sprintf("ra-%d", i+1), Region: "ra", Address: widest(i)[1].String()})
					}
				}
				for i, slot := range s.Slots() {
					machines[i] = fleet.Machine{Node: slot.Node, Addrs: widest(i)}
					if c.hosts && len(c.publish.Families) == 0 {
						machines[i].Addrs = machines[i].Addrs[1:]
					}
					ids[slot.Node] = fleettest.PeerID(slot.Node)
				}
				records, err := fleet.PublishedAll(s, machines, ids)
				if err != nil {
					t.Fatal(err)
				}
				answers := dnsaddr.AnswersOf(records)
				layout, few := s.Layout(), "_dnsaddr.few."+c.domain
				if got, size := layout.Relays(few), answers[few].Size(few, false); got != min(n, c.compact) || size > dnsaddr.MaxUDP {
					t.Errorf("%d nodes: %d at the compact name, in %d bytes; want %d, in at most %d", n, got, size, min(n, c.compact), dnsaddr.MaxUDP)
				}
				clients := dnsaddr.NewClients(answers)
				want := min(n, c.compact)
				if c.publish.Transports != nil {
					want = 0 // it does not dial QUIC
				}
				if got := clients.Resolve(dnsaddr.NimLibp2p, dnsaddr.Networks()[0], "few."+c.domain, ""); len(got.Relays) != want {
					t.Errorf("%d nodes: nim-libp2p tries %d of the compact name, want %d (%v)", n, len(got.Relays), want, got.Losses)
				}
				if n <= dnsaddr.MaxFlat {
					continue
				}
				entry := layout.Entry()
				size := answers[entry].Size(entry, true)
				if got := layout.Relays(entry); got != c.entry || size > dnsaddr.MaxEDNS && c.publish.Addresses == 0 {
					t.Errorf("%d nodes: %d at the entry name, in %d bytes; want %d, in at most %d", n, got, size, c.entry, dnsaddr.MaxEDNS)
				}
			}
		})
	}
}
