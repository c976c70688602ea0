package fleet

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
)

// served says which ports a machine's relay serves: a transport that the spec leaves
// out is not served, and a port that the machine brings along wins over the spec's.
func served(s Spec, own Ports) Ports {
	pick := func(wanted, own int) int {
		if wanted == 0 || own == 0 {
			return wanted
		}
		return own
	}
	return Ports{
		TCP:  pick(s.Relay.Port, own.TCP),
		QUIC: pick(s.Relay.QUICPort, own.QUIC),
		WS:   pick(s.Relay.WSPort, own.WS),
	}
}

// multiaddrs lists the transports of one IP address, plain TCP first: old clients try in order.
func multiaddrs(ip netip.Addr, p Ports) []string {
	at := "/" + familyOf(ip) + "/" + ip.String()
	out := make([]string, 0, 3)
	for _, t := range []struct {
		port          int
		before, after string
	}{
		{p.TCP, "/tcp/", ""},
		{p.QUIC, "/udp/", "/quic-v1"},
		{p.WS, "/tcp/", "/ws"},
	} {
		if t.port != 0 {
			out = append(out, at+t.before+strconv.Itoa(t.port)+t.after)
		}
	}
	return out
}

// longestFirst is how many bytes the longest value has that a relay is published with
// before any other, if its machine has an address of that family. It depends on the spec
// alone.
func (s Spec) longestFirst(family string) int {
	if !lets(s.DNS.Publish.Families, family) {
		family = s.DNS.Publish.Families[0]
	}
	m := Machine{
		Addrs: []netip.Addr{netip.AddrFrom4([4]byte{255, 255, 255, 255})},
		Ports: Ports{TCP: math.MaxUint16, QUIC: math.MaxUint16, WS: math.MaxUint16},
	}
	if family == FamilyIP6 {
		m.Addrs[0] = netip.AddrFrom16([16]byte(bytes.Repeat([]byte{0xff}, 16)))
	}
	p := publisher{spec: s}
	first := p.ordered(m)
	if len(first) == 0 {
		return 0 // nothing is published, which the check of the spec says
	}
	return len("dnsaddr="+first[0]+"/p2p/") + peerIDBytes
}

// peerIDBytes is the length of an Ed25519 peer ID in text.
const peerIDBytes = 52

// ip6Alone are the nodes of which the spec itself says that they have an IPv6 address and
// no other.
func (s Spec) ip6Alone() map[string]bool {
	alone := make(map[string]bool)
	if s.Provider != ProviderHosts {
		return alone
	}
	for _, h := range s.Hosts {
		if ip, err := netip.ParseAddr(h.Address); err == nil && ip.Unmap().Is6() {
			alone[h.Node] = true
		}
	}
	return alone
}

// Announce lists the addresses at which clients reach the relay of m, without its peer
// ID: every transport of the first IP address, then of the next.
func Announce(s Spec, m Machine) []string {
	var out []string
	ports := served(s, m.Ports)
	for _, ip := range m.Addrs {
		out = append(out, multiaddrs(ip, ports)...)
	}
	return out
}

// listen lists what the daemon on m binds: the wildcard of each family that the machine
// has, or loopback alone where that is all it has.
func listen(s Spec, m Machine) []string {
	own := m.Bind
	if own == (Ports{}) {
		own = m.Ports
	}
	var out []string
	ports := served(s, own)
	for _, ip := range m.Addrs {
		bind := ip
		switch {
		case ip.IsLoopback():
		case ip.Is6():
			bind = netip.IPv6Unspecified()
		default:
			bind = netip.IPv4Unspecified()
		}
		out = append(out, multiaddrs(bind, ports)...)
	}
	return out
}
