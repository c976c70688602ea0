package fleet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// spot is what one record says: a value at a name, fully qualified and in lower case.
type spot struct{ name, value string }

// target is a record that belongs into DNS: an address, and where its value stands.
type target struct {
	spot
	addr dnsaddr.Addr
}

// publisher knows which records of a relay belong into DNS. It depends on the spec alone.
// It is not safe for concurrent use.
type publisher struct {
	spec   Spec
	layout dnsaddr.Layout
	parse  func(value string) (dnsaddr.Addr, error) // dnsaddr.ParseValue, or one that remembers
	room   map[string]int                           // what most said
}

func newPublisher(s Spec) *publisher { return publisherOf(s, s.Slots()) }

// publisherOf is for slots that are listed already.
func publisherOf(s Spec, slots []Slot) *publisher {
	return &publisher{spec: s, layout: s.layout(slots), parse: dnsaddr.ParseValue, room: make(map[string]int)}
}

// Published lists the records of m's relay that belong into DNS: at each name that the
// layout has for its node, as many of its addresses as dns.publish or the answer's room
// says, at least one. Plain TCP comes first, then QUIC, then WebSocket, and of each IPv4
// before IPv6. It is nil while the peer ID or the address is unknown, and an error if the
// relay has addresses and none of them may be published.
func Published(s Spec, m Machine, peerID string) ([]dnsaddr.Record, error) {
	targets, err := newPublisher(s).targets(m, peerID)
	out := make([]dnsaddr.Record, len(targets))
	for i, t := range targets {
		out[i] = dnsaddr.Record{
			Name: t.name, Value: t.value, TTL: s.DNS.TTL,
			Comment: dnsaddr.Owner{Fleet: s.Name, Relay: m.Node}.Comment(),
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", m.Node, err)
	}
	return out, err
}

// targets is what [Published] lists. Its errors do not name the node.
func (p *publisher) targets(m Machine, peerID string) ([]target, error) {
	names := p.layout.At(m.Node)
	if peerID == "" || len(m.Addrs) == 0 || len(names) == 0 {
		return nil, nil
	}
	most := 0
	for _, name := range names {
		most = max(most, p.most(name))
	}
	addrs, err := p.addresses(m, peerID, most)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(addrs))
	for i, a := range addrs {
		values[i] = a.Value()
	}
	out := make([]target, 0, len(names)*len(addrs))
	for _, name := range names {
		for i := range p.fitting(name, values[:min(p.most(name), len(values))]) {
			out = append(out, target{spot{name, values[i]}, addrs[i]})
		}
	}
	return out, nil
}

// usualRecord is more than the text of a record by IPv4 takes with its quotes, in bytes. What
// is left of a name's room takes the relays that come before others give a record up; the
// longer ones by IPv6 are cut by what they take.
const usualRecord = 120

// most is how many addresses of each relay stand at a name.
func (p *publisher) most(name string) int {
	n, known := p.room[name]
	if !known {
		n = cmp.Or(p.spec.DNS.Publish.Addresses, p.layout.Addresses(name))
		if name == p.layout.Compact() {
			n = min(n, p.layout.Addresses(name))
		}
		n = max(1, min(n, dnsaddr.MaxContent/usualRecord/max(1, p.layout.Relays(name))))
		p.room[name] = n
	}
	return n
}

// fitting cuts a relay's values to its share of what the name holds, and to its share of the
// answer, which IPv6 fills sooner; a number that the spec names is cut to the latter at the
// compact name alone.
func (p *publisher) fitting(name string, values []string) []string {
	if len(values) < 2 {
		return values
	}
	relays := p.layout.Relays(name)
	values = heads(values, dnsaddr.MaxContent/relays, func(v string) int { return len(dnsaddr.EncodeTXT(v)) })
	if p.spec.DNS.Publish.Addresses > 0 && name != p.layout.Compact() {
		return values
	}
	budget, empty := dnsaddr.MaxEDNS, dnsaddr.WireSize(name, nil)
	if relays <= dnsaddr.CompactRelays {
		budget = dnsaddr.MaxUDP
	}
	return heads(values, (budget-empty)/relays, func(v string) int { return dnsaddr.WireSize(name, []string{v}) - empty })
}

// heads are the first values whose sizes fit into room together, one at least.
func heads(values []string, room int, size func(string) int) []string {
	for i, v := range values {
		if room -= size(v); i > 0 && room < 0 {
			return values[:i]
		}
	}
	return values
}

// addresses lists the first addresses of m's relay that may be published, at most so many.
func (p *publisher) addresses(m Machine, peerID string, most int) ([]dnsaddr.Addr, error) {
	var out []dnsaddr.Addr
	private := ""
	for _, text := range p.ordered(m) {
		if len(out) == most {
			break
		}
		a, err := p.parse("dnsaddr=" + text + "/p2p/" + peerID)
		switch {
		case err != nil:
			return nil, fmt.Errorf("its relay's address: %w", err)
		case p.spec.DNS.Hides(a):
			private = a.Dial()
		default:
			out = append(out, a)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case private != "":
		err := fmt.Errorf("it has no public address, so nothing of it is published: %s is private, and zone %q is public", private, p.spec.DNS.Zone)
		return nil, WithHint(err, "give "+m.Node+" an address that clients reach; if the zone is for a private network alone, set dns.publish.scope: any")
	}
	err := fmt.Errorf("none of its addresses is one that dns.publish lets into DNS: %s", strings.Join(Announce(p.spec, m), ", "))
	return nil, WithHint(err, "change dns.publish.transports or dns.publish.families, or give "+m.Node+" an address that they let in")
}

// ordered lists the addresses that dns.publish lets into DNS, what matters most first.
func (p *publisher) ordered(m Machine) []string {
	var out []string
	ports := served(p.spec, m.Ports)
	for _, transport := range Transports() {
		if !lets(p.spec.DNS.Publish.Transports, transport) {
			continue
		}
		only := Ports{}
		switch transport {
		case TransportTCP:
			only.TCP = ports.TCP
		case TransportQUIC:
			only.QUIC = ports.QUIC
		case TransportWS:
			only.WS = ports.WS
		}
		for _, family := range Families() {
			if !lets(p.spec.DNS.Publish.Families, family) {
				continue
			}
			for _, ip := range m.Addrs {
				if familyOf(ip) == family {
					out = append(out, multiaddrs(ip, only)...)
				}
			}
		}
	}
	return out
}

// lets reports whether a list of the spec has a word; an empty one has all.
func lets(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }

func familyOf(ip netip.Addr) string {
	if ip.Is6() {
		return FamilyIP6
	}
	return FamilyIP4
}

// distinct lists the addresses of targets, each once, in their order.
func distinct(targets []target) []dnsaddr.Addr {
	var out []dnsaddr.Addr
	for _, t := range targets {
		if !slices.Contains(out, t.addr) {
			out = append(out, t.addr)
		}
	}
	return out
}
