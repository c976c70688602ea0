package fleet

import (
	"fmt"
	"net/netip"

	"github.com/relayfleet/fleetctl/dnsaddr"
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
	family := "ip4"
	if ip.Is6() {
		family = "ip6"
	}
	var out []string
	for _, t := range []struct {
		port   int
		format string
	}{
		{p.TCP, "/%s/%s/tcp/%d"},
		{p.QUIC, "/%s/%s/udp/%d/quic-v1"},
		{p.WS, "/%s/%s/tcp/%d/ws"},
	} {
		if t.port != 0 {
			out = append(out, fmt.Sprintf(t.format, family, ip, t.port))
		}
	}
	return out
}

// Announce lists the addresses at which clients reach the relay of m, without its peer
// ID: every transport of the first IP address, then of the next.
func Announce(s Spec, m Machine) []string {
	var out []string
	for _, ip := range m.Addrs {
		out = append(out, multiaddrs(ip, served(s, m.Ports))...)
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
	for _, ip := range m.Addrs {
		bind := ip
		switch {
		case ip.IsLoopback():
		case ip.Is6():
			bind = netip.IPv6Unspecified()
		default:
			bind = netip.IPv4Unspecified()
		}
		out = append(out, multiaddrs(bind, served(s, own))...)
	}
	return out
}

// Published lists the addresses of m's relay that belong into DNS: one for each IP
// address, plain TCP where it is served. It is nil while the peer ID is unknown.
func Published(s Spec, m Machine, peerID string) ([]dnsaddr.Addr, error) {
	return published(s, m, peerID, dnsaddr.ParseAddr)
}

// published parses with parse, so that a caller can reuse what it has parsed before.
func published(s Spec, m Machine, peerID string, parse func(string) (dnsaddr.Addr, error)) ([]dnsaddr.Addr, error) {
	if peerID == "" {
		return nil, nil
	}
	var out []dnsaddr.Addr
	for _, ip := range m.Addrs {
		all := multiaddrs(ip, served(s, m.Ports))
		if len(all) == 0 {
			continue
		}
		a, err := parse(all[0] + "/p2p/" + peerID)
		if err != nil {
			return nil, fmt.Errorf("%s: its relay's address: %w", m.Node, err)
		}
		out = append(out, a)
	}
	return out, nil
}
