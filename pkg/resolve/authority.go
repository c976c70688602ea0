package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Bounds of [Client.Authorities].
const (
	maxAuthorities = 13 // names of servers
	maxAddresses   = 2  // of each
)

// ErrNoZone means that no name server of any zone around a name is known.
var ErrNoZone = errors.New("no name servers are known")

// Authority is a name server of a zone.
type Authority struct {
	Name    string
	Servers []Server // one for each address, asked by UDP and TCP
	Err     error    // why its addresses are not known
}

// Authorities asks a recursive resolver for the zone that holds name and for its name
// servers, sorted by name: those of the longest suffix of name, of two labels at least,
// that has any. An error means that the resolver did not answer, or that there are none
// ([ErrNoZone]).
func (c *Client) Authorities(ctx context.Context, via Server, name string) (zone string, _ []Authority, err error) {
	for zone = bare(name); strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		a, err := c.Ask(ctx, via, Question{Name: zone, Type: NS})
		if err == nil {
			err = a.Err()
		}
		if err != nil {
			return "", nil, fmt.Errorf("name servers of %s: %w", zone, err)
		}
		if len(a.Records) == 0 || len(a.Aliases) > 0 {
			continue
		}
		names := a.Values()
		names = slices.Compact(names)
		out := make([]Authority, 0, len(names))
		for _, host := range names[:min(len(names), maxAuthorities)] {
			out = append(out, c.authority(ctx, via, host))
		}
		return zone, out, ctx.Err()
	}
	return "", nil, fmt.Errorf("%s: %w", name, ErrNoZone)
}

// authority looks the addresses of a name server up, IPv6 only where there is no other.
func (c *Client) authority(ctx context.Context, via Server, host string) Authority {
	out := Authority{Name: host}
	for _, kind := range []Type{A, AAAA} {
		a, err := c.Ask(ctx, via, Question{Name: host, Type: kind})
		if err == nil {
			err = a.Err()
		}
		if err != nil {
			out.Err = fmt.Errorf("address of name server %s: %w", host, err)
			continue
		}
		values := a.Values()
		for _, addr := range values[:min(len(values), maxAddresses)] {
			out.Servers = append(out.Servers, Server{Transport: Plain, Addr: net.JoinHostPort(addr, "53")})
		}
		if len(out.Servers) > 0 {
			out.Err = nil
			return out
		}
	}
	if out.Err == nil {
		out.Err = fmt.Errorf("name server %s has no address", host)
	}
	return out
}

// System lists the resolvers of this computer, as /etc/resolv.conf has them; none where
// there is no such file.
func System() []Server {
	cfg, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}
	var out []Server
	for _, host := range cfg.Servers {
		if s, err := ParseServer(net.JoinHostPort(strings.Trim(host, "[]"), cfg.Port)); err == nil {
			out = append(out, s)
		}
	}
	return out
}
