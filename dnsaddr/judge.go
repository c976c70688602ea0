package dnsaddr

import (
	"maps"
	"slices"
	"strings"
)

// Verdict is how a family fares in a network with the names of a fleet.
type Verdict struct {
	Family  Family
	Network Network
	// Resolution of the entry name without a peer ID.
	Resolution
	// Pinned is how many relays the family reaches by their peer IDs, at the entry name
	// or at another one at which they stand.
	Pinned int
}

// Relays are the peer IDs that stand at any name, sorted.
func (a Answers) Relays() []string {
	return slices.Sorted(maps.Keys(NewClients(a).places()))
}

// places are the domains at which each peer ID stands.
func (c *Clients) places() map[string][]string {
	out := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(c.at)) {
		domain := strings.TrimPrefix(name, label)
		for _, t := range c.at[name].texts {
			v := t.whole
			if v.kind == good && v.id != "" && v.pointer == "" && !slices.Contains(out[v.id], domain) {
				out[v.id] = append(out[v.id], domain)
			}
		}
	}
	return out
}

// Judge says how each family fares in each network, in the order of [Families] and
// [Networks]. The entry name is given with or without "_dnsaddr.".
func Judge(entry string, answers Answers) []Verdict {
	clients := NewClients(answers)
	domain := strings.TrimPrefix(strings.ToLower(entry), label)
	places := clients.places()
	var out []Verdict
	for _, f := range Families() {
		for _, n := range Networks() {
			v := Verdict{Family: f, Network: n, Resolution: clients.Resolve(f, n, domain, "")}
			for id, at := range places {
				if clients.reaches(f, n, id, append([]string{domain}, at...)) {
					v.Pinned++
				}
			}
			out = append(out, v)
		}
	}
	return out
}

// reaches reports whether a relay is found by its peer ID at one of the domains.
func (c *Clients) reaches(f Family, n Network, id string, domains []string) bool {
	return slices.ContainsFunc(domains, func(domain string) bool {
		return slices.Contains(c.Resolve(f, n, domain, id).Relays, id)
	})
}

// CanReceive reports whether the family can receive an answer of more than [MaxUDP] bytes
// in that network at all: by TCP, or with EDNS where the network lets such packets through.
func (f Family) CanReceive(n Network) bool {
	h := f.habits()
	return h.tcp && !n.NoTCP || h.edns && n.udp() > MaxUDP
}
