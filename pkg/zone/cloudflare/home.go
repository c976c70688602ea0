package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// ID is the zone's own: the one that was given, or that of the zone that was found by name,
// "" until it was. It asks nobody.
func (z *Zone) ID() string {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.zoneID == "" && z.home != nil {
		return z.home.ID
	}
	return z.zoneID
}

// id is the zone's, without a request if it was given.
func (z *Zone) id(ctx context.Context) (string, error) {
	if z.zoneID != "" {
		return z.zoneID, nil
	}
	h, err := z.find(ctx)
	return h.ID, err
}

// find returns the zone, from its ID if that was given, else by name. It is asked once.
func (z *Zone) find(ctx context.Context) (home, error) {
	z.mu.Lock()
	found := z.home
	z.mu.Unlock()
	if found != nil {
		return *found, nil
	}
	look := z.search
	if z.zoneID != "" {
		look = z.given
	}
	h, err := look(ctx)
	if err != nil {
		return home{}, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.home = &h
	return h, nil
}

// given reads the zone whose ID was given.
func (z *Zone) given(ctx context.Context) (home, error) {
	h, err := z.api.zone(ctx, z.zoneID)
	switch {
	case err != nil:
		return home{}, fmt.Errorf("zone %s: %w", z.zoneID, err)
	case h.ID != z.zoneID || dnsaddr.CheckName(h.Name) != nil:
		return home{}, fmt.Errorf("zone %s: the API answers with %q, %q", z.zoneID, clean(h.ID), clean(h.Name))
	}
	return h, nil
}

// search finds the zone with the longest name that the domain ends in.
func (z *Zone) search(ctx context.Context) (home, error) {
	names := candidates(z.domain)
	for _, name := range names {
		got, err := z.api.zonesNamed(ctx, name)
		if err != nil {
			return home{}, fmt.Errorf("find zone %s: %w", name, err)
		}
		got = slices.DeleteFunc(got, func(h home) bool { return !strings.EqualFold(h.Name, name) || !isID(h.ID) })
		if len(got) > 0 {
			return choose(name, got)
		}
	}
	return home{}, fleet.WithHint(fmt.Errorf("%w: the API token from %s sees no zone for %s, neither of %s",
		dnsaddr.ErrAuth, z.api.trans.From(), z.domain, strings.Join(names, ", ")),
		"give the token the permissions Zone.DNS:Edit and Zone.Zone:Read for the zone that holds dns.domain, or correct dns.domain")
}

// candidates are the names of zones that may hold a domain, the longest first; top-level
// domains are none.
func candidates(domain string) []string {
	var names []string
	for name := domain; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
		names = append(names, name)
	}
	return names
}

// choose takes the active one of several zones of one name: accounts may have the same.
func choose(name string, zones []home) (home, error) {
	if len(zones) == 1 {
		return zones[0], nil
	}
	active := slices.DeleteFunc(slices.Clone(zones), func(h home) bool { return h.Status != statusActive })
	if len(active) == 1 {
		return active[0], nil
	}
	which := make([]string, len(zones))
	for i, h := range zones {
		which[i] = h.ID + " " + clean(h.Status)
	}
	return home{}, fleet.WithHint(fmt.Errorf("the API token sees %d zones named %s: %s", len(zones), name, strings.Join(which, ", ")),
		"write the ID of the right one into dns.cloudflare.zone_id")
}

// statusActive is the status of a zone that the world asks Cloudflare for.
const statusActive = "active"

// holds reports whether a name is in the zone.
func (h home) holds(name string) bool {
	name, zone := strings.ToLower(name), strings.ToLower(h.Name)
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// holding returns the zone if it holds a name. A token that may not read a zone whose ID
// was given leaves open whether it does.
func (z *Zone) holding(ctx context.Context, name string) (h home, sure bool, err error) {
	h, err = z.find(ctx)
	switch {
	case err != nil && z.zoneID != "" && unreadable(err):
		return home{ID: z.zoneID}, false, nil
	case err != nil:
		return home{}, false, err
	case !h.holds(name):
		return home{}, false, errOutside(name, h.Name)
	}
	return h, true, nil
}

// errOutside is of a domain that the zone given does not hold.
func errOutside(entry, zone string) error {
	return fleet.WithHint(fmt.Errorf("%w: %s is not in the zone %s", dnsaddr.ErrBadRecord, entry, clean(zone)),
		"correct dns.domain, or the zone's ID in dns.cloudflare.zone_id or CLOUDFLARE_ZONE_ID")
}

// Status implements [dnsaddr.Zone], with at most one request if the zone's ID was given.
// A zone that is not active takes records, and nobody is sent to them.
func (z *Zone) Status(ctx context.Context) dnsaddr.Status {
	s := dnsaddr.Status{Kind: "cloudflare"}
	h, err := z.find(ctx)
	if err != nil {
		s.Reason = err.Error()
		return s
	}
	if servers := h.servers(); len(servers) > 0 {
		s.Server = servers[0]
	}
	s.Reason = h.trouble(z.domain)
	s.Serving = s.Reason == ""
	return s
}

// trouble says why clients do not get what is in the zone, "" if they do.
func (h home) trouble(domain string) string {
	servers := make([]string, len(h.NameServers))
	for i, name := range h.NameServers {
		servers[i] = clean(name)
	}
	switch {
	case !h.holds(domain):
		return fmt.Sprintf("%s is not in the zone %s", domain, clean(h.Name))
	case h.Status == "pending", h.Status == "initializing":
		return fmt.Sprintf("the zone %s is %s: its registrar does not name the servers %s yet", clean(h.Name), clean(h.Status), strings.Join(servers, ", "))
	case h.Status != statusActive:
		return fmt.Sprintf("the zone %s is %q", clean(h.Name), clean(h.Status))
	case h.Type == "partial":
		return fmt.Sprintf("the zone %s is a partial one: another provider answers for it", clean(h.Name))
	}
	return ""
}

// servers are host:port of the zone's own name servers, as far as they are known.
func (h home) servers() []string {
	var out []string
	for _, name := range h.NameServers {
		if host, _, err := net.SplitHostPort(name); err == nil && host != "" {
			out = append(out, name)
		} else if dnsaddr.CheckName(name) == nil {
			out = append(out, net.JoinHostPort(name, "53"))
		}
	}
	return out
}

// unreadable reports whether err says only that the token may not read the zone itself,
// which writing to it does not need.
func unreadable(err error) bool { return errors.Is(err, dnsaddr.ErrAuth) }
