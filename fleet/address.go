package fleet

import (
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
