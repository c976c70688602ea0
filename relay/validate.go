package relay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Validate reports everything that is wrong with the configuration, each with the
// values that are accepted.
func (c Config) Validate() error {
	return errors.Join(c.checkNames(), c.checkAddresses(), c.Limits.check(),
		duration("grace", c.Grace, 0, time.Hour),
		duration("census_every", c.CensusEvery, 10*time.Millisecond, time.Hour))
}

func (c Config) checkNames() error {
	word := regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	prefix := regexp.MustCompile(`^(/[A-Za-z0-9._-]{1,63}){1,4}$`)
	var errs []error
	if !word.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name: %q: accepted are 1 to 64 letters, digits, dots, underscores and dashes", c.Name))
	}
	if !word.MatchString(c.Tier) {
		errs = append(errs, fmt.Errorf("tier: %q: accepted are 1 to 64 letters, digits, dots, underscores and dashes", c.Tier))
	}
	if !prefix.MatchString(c.Network) {
		errs = append(errs, fmt.Errorf("network: %q: accepted is a protocol prefix of 1 to 4 parts such as /bitterbot", c.Network))
	}
	if !filepath.IsAbs(c.State) {
		errs = append(errs, fmt.Errorf("state: %q: accepted is an absolute path", c.State))
	}
	return errors.Join(errs...)
}

func (c Config) checkAddresses() error {
	var errs []error
	if len(c.Listen) == 0 {
		errs = append(errs, errors.New("listen: empty: accepted are 1 to 32 multiaddrs"))
	}
	if len(c.Listen) > 32 || len(c.Announce) > 32 {
		errs = append(errs, errors.New("listen, announce: accepted are at most 32 multiaddrs each"))
	}
	for i, text := range c.Listen {
		if _, err := parseListen(text); err != nil {
			errs = append(errs, fmt.Errorf("listen[%d]: %w", i, err))
		}
		if slices.Index(c.Listen, text) != i {
			errs = append(errs, fmt.Errorf("listen[%d]: %s: named twice", i, text))
		}
	}
	for i, text := range c.Announce {
		if _, err := ma.NewMultiaddr(text); err != nil {
			errs = append(errs, fmt.Errorf("announce[%d]: %q: %w", i, text, err))
		}
	}
	if at, err := netip.ParseAddrPort(c.API); err != nil || !at.Addr().IsLoopback() {
		errs = append(errs, fmt.Errorf("api: %q: accepted is a loopback address with a port such as 127.0.0.1:9847", c.API))
	}
	return errors.Join(errs...)
}

func (l Limits) check() error {
	return errors.Join(
		number("limits.reservations", int64(l.Reservations), 1, 1_000_000),
		number("limits.reservations_per_ip", int64(l.ReservationsPerIP), 1, 1_000_000),
		number("limits.circuits", int64(l.Circuits), 1, 1_000_000),
		number("limits.circuits_per_peer", int64(l.CircuitsPerPeer), 1, 1_000_000),
		duration("limits.circuit_duration", l.CircuitDuration, 0, 365*24*time.Hour),
		number("limits.circuit_data", l.CircuitData, 0, 1<<50),
		number("limits.connections", int64(l.Connections), 8, 1_000_000),
		number("limits.memory", l.Memory, 32<<20, 1<<40))
}

func number(key string, got, low, high int64) error {
	if got < low || got > high {
		return fmt.Errorf("%s: %d: accepted are %d to %d", key, got, low, high)
	}
	return nil
}

func duration(key string, got, low, high time.Duration) error {
	if got < low || got > high {
		return fmt.Errorf("%s: %s: accepted are %s to %s", key, got, low, high)
	}
	return nil
}

// parseListen accepts the transports that are served: TCP, QUIC v1 and WebSocket
// on a literal IP address.
func parseListen(text string) (ma.Multiaddr, error) {
	const accepted = "accepted are /ip4|ip6/<IP>/tcp/<port>, …/udp/<port>/quic-v1 and …/tcp/<port>/ws"
	addr, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w: %s", text, err, accepted)
	}
	if transportOf(addr) == "" {
		return nil, fmt.Errorf("%q: %s", text, accepted)
	}
	return addr, nil
}

// transportOf names the transport of a listen address: tcp, quic-v1 or ws; empty
// for any other.
func transportOf(addr ma.Multiaddr) string {
	var codes []int
	for _, c := range addr {
		codes = append(codes, c.Protocol().Code)
	}
	if len(codes) < 2 || (codes[0] != ma.P_IP4 && codes[0] != ma.P_IP6) {
		return ""
	}
	switch rest := codes[1:]; {
	case len(rest) == 1 && rest[0] == ma.P_TCP:
		return "tcp"
	case len(rest) == 2 && rest[0] == ma.P_TCP && rest[1] == ma.P_WS:
		return "ws"
	case len(rest) == 2 && rest[0] == ma.P_UDP && rest[1] == ma.P_QUIC_V1:
		return "quic-v1"
	}
	return ""
}

// announced is the pinned list of addresses, each without its /p2p part. One that
// names another peer than self is an error.
func (c Config) announced(self peer.ID) ([]ma.Multiaddr, error) {
	var addrs []ma.Multiaddr
	for i, text := range c.Announce {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("announce[%d]: %q: %w", i, text, err)
		}
		rest, id := peer.SplitAddr(addr)
		if id != "" && id != self {
			return nil, hint(fmt.Errorf("announce[%d]: %s names another peer than this relay, %s", i, addr, self),
				"leave /p2p/… out of announce")
		}
		if len(rest) == 0 {
			return nil, fmt.Errorf("announce[%d]: %q: no transport address", i, text)
		}
		addrs = append(addrs, rest)
	}
	return addrs, nil
}

// parseToken takes one line of at least 16 printable characters.
func parseToken(text []byte) (string, error) {
	token := bytes.TrimSpace(text)
	if len(token) < 16 || len(token) > 4096 {
		return "", errors.New("api_token_file: accepted are 16 to 4096 characters")
	}
	for _, b := range token {
		if b <= ' ' || b > '~' {
			return "", errors.New("api_token_file: accepted are printable ASCII characters without spaces, on one line")
		}
	}
	return string(token), nil
}
