package dnsaddr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// transports that clients in the field dial, as the multiaddr protocols after the host.
func transports() [][]int {
	return [][]int{
		{ma.P_TCP},
		{ma.P_UDP, ma.P_QUIC_V1},
		{ma.P_TCP, ma.P_WS},
		{ma.P_TCP, ma.P_WSS},
		{ma.P_TCP, ma.P_TLS, ma.P_WS},
		{ma.P_TCP, ma.P_TLS, ma.P_SNI, ma.P_WS},
	}
}

// checkDial says why the part before the peer ID cannot be dialed, nil if it can.
func checkDial(m ma.Multiaddr) error {
	if len(m) == 0 {
		return errors.New("there is no address before its peer ID")
	}
	if err := checkHost(m); err != nil {
		return err
	}
	codes := make([]int, 0, len(m)-1)
	for _, c := range m[1:] {
		codes = append(codes, c.Code())
		switch c.Code() {
		case ma.P_TCP, ma.P_UDP:
			if c.Value() == "0" {
				return errors.New("port 0 cannot be dialed")
			}
		case ma.P_SNI:
			if err := checkHostName(c.Value()); err != nil {
				return err
			}
		}
	}
	if !slices.ContainsFunc(transports(), func(t []int) bool { return slices.Equal(t, codes) }) {
		return fmt.Errorf("%s is no transport of a relay (tcp, udp/quic-v1, tcp/ws, tcp/tls/ws, tcp/wss)", names(m[1:]))
	}
	return nil
}

// checkHost wants an address or a name that a client can connect to.
func checkHost(m ma.Multiaddr) error {
	host := m[0]
	switch host.Code() {
	case ma.P_IP4, ma.P_IP6:
		if manet.IsIPUnspecified(m[:1]) {
			return fmt.Errorf("%s is not the address of a machine", host.Value())
		}
		return nil
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
		return checkHostName(host.Value())
	case ma.P_DNSADDR:
		return errors.New("it points to another name (dnsaddr)")
	}
	return fmt.Errorf("it begins with %s, not with ip4, ip6, dns, dns4 or dns6", host.Protocol().Name)
}

// checkHostName accepts a final dot, which CheckName does not.
func checkHostName(name string) error { return CheckName(strings.TrimSuffix(name, ".")) }

// names of protocols, as in a multiaddr.
func names(m ma.Multiaddr) string {
	if len(m) == 0 {
		return "nothing"
	}
	out := make([]string, len(m))
	for i, c := range m {
		out[i] = c.Protocol().Name
	}
	return strings.Join(out, "/")
}
