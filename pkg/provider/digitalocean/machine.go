package digitalocean

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/godo"
	"github.com/oklog/ulid/v2"

	"github.com/relayfleet/fleetctl/fleet"
)

// What is known of a droplet that others made, and of the names of ours.
const (
	theirUser    = "root"
	theirState   = "/var/lib/bitterbot" // of a fleet that older tooling made
	opLength     = 8                    // characters of an operation in a name
	opCharacters = "0123456789abcdefghjkmnpqrstvwxyz"
)

// dropletName is <fleet>-<node>-<first 8 of the operation>. Names are not unique.
func (p *Provider) dropletName(n fleet.NewMachine) string {
	return p.spec.Name + "-" + n.Node + "-" + strings.ToLower(n.Op)[:opLength]
}

// nodeOf reads the node out of a name of our form, "" if it is of another. The node
// begins with the droplet's own region, so that the fleet a finds nothing in the names of
// the fleet a-b.
func (p *Provider) nodeOf(d godo.Droplet) string {
	rest, ok := strings.CutPrefix(strings.ToLower(d.Name), p.spec.Name+"-")
	cut := len(rest) - opLength - 1
	if !ok || cut <= 0 || rest[cut] != '-' || strings.Trim(rest[cut+1:], opCharacters) != "" {
		return ""
	}
	node := rest[:cut]
	n, ok := strings.CutPrefix(node, regionOf(d)+"-")
	if !ok || n == "" || n[0] == '0' || strings.Trim(n, "0123456789") != "" {
		return ""
	}
	return node
}

func regionOf(d godo.Droplet) string {
	if d.Region == nil {
		return ""
	}
	return d.Region.Slug
}

// machine is a droplet as the fleet sees it.
func (p *Provider) machine(d godo.Droplet) fleet.Machine {
	m := fleet.Machine{
		ID: strconv.Itoa(d.ID), Name: clean(d.Name), Fleet: p.spec.Name, Region: clean(regionOf(d)),
		Status: statusOf(d), Addrs: addressesOf(d), Ports: fleet.Ports{SSH: p.spec.Ocean.SSHPort},
		HostKey: hostKeys(d.Tags), User: fleet.LoginUser, Sudo: true, Labels: labels(d.Tags),
		Adopted: len(valuesOf(d.Tags, tagAdopted)) > 0, CachedUntil: cachedUntil(d.Tags),
	}
	if at, err := time.Parse(time.RFC3339, d.Created); err == nil {
		m.Created = at.UTC()
	}
	ops := valuesOf(d.Tags, tagOp)
	if len(ops) > 0 {
		if _, err := ulid.ParseStrict(ops[0]); err == nil {
			m.Op = strings.ToUpper(ops[0])
		}
	}
	for _, phase := range phases() {
		if slices.Contains(valuesOf(d.Tags, tagPhase), string(phase)) {
			m.Phase = phase // of two, which are there for a moment, the later one counts
		}
	}
	m.Node = p.nodeOf(d)
	if slots := valuesOf(d.Tags, tagSlot); len(slots) > 0 && validTag(slots[0]) {
		m.Node = slots[0]
	}
	if m.Node == "" {
		// Nothing says what it is, although somebody gave it our tag: it is left alone.
		m.Node, m.Unmarked = m.Name, true
	}
	if len(ops) == 0 && p.nodeOf(d) == "" { // ordered by others
		m.User, m.Sudo, m.State = theirUser, false, theirState
	}
	if dirs := valuesOf(d.Tags, tagState); len(dirs) > 0 && stateName.MatchString(dirs[0]) {
		m.State = stateRoot + dirs[0]
	}
	if !m.Unmarked && m.Status != fleet.StatusPending {
		m.Drift = p.driftOf(d, m)
	}
	return m
}

// marksLate is how long the tags of an order may come one after the other.
const marksLate = 2 * time.Minute

// unproven is a droplet with our fleet's name and without its ID: another fleet of this name
// may have ordered it. Of a new one of our form of name the rest may be on its way.
func (p *Provider) unproven(d godo.Droplet) fleet.Machine {
	if node := p.nodeOf(d); node != "" {
		if made, err := time.Parse(time.RFC3339, d.Created); err == nil && time.Since(made) < marksLate {
			return p.unmarked(d, node)
		}
	}
	m := p.machine(d)
	m.Drift, m.Problem = nil, p.whyUnproven(d)
	return m
}

// whyUnproven says why such a droplet is left alone, and what ends that.
func (p *Provider) whyUnproven(d godo.Droplet) string {
	return fmt.Sprintf("its tags name the fleet %s and not its id, so it may be another fleet's of this name; if it is of this one, "+
		"`fleetctl adopt --id %d` tags it %s%s and does nothing else", p.spec.Name, d.ID, tagFleetID, p.spec.ID)
}

// unmarked is a droplet that only its name says is ours.
func (p *Provider) unmarked(d godo.Droplet, node string) fleet.Machine {
	m := p.machine(d)
	m.Node, m.Unmarked, m.Drift = node, true, nil
	m.User, m.Sudo, m.State = fleet.LoginUser, true, ""
	return m
}

// statusOf says whether a droplet runs. One without an address cannot be reached yet.
func statusOf(d godo.Droplet) fleet.Status {
	switch {
	case d.Status == "off" || d.Status == "archive":
		return fleet.StatusStopped
	case d.Status == "active" && len(addressesOf(d)) > 0:
		return fleet.StatusRunning
	}
	return fleet.StatusPending
}

// addressesOf lists the public addresses, IPv4 first.
func addressesOf(d godo.Droplet) []netip.Addr {
	out := []netip.Addr{}
	if d.Networks == nil {
		return out
	}
	add := func(kind, text string) {
		if ip, err := netip.ParseAddr(text); err == nil && kind == "public" && !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	for _, n := range d.Networks.V4 {
		add(n.Type, n.IPAddress)
	}
	for _, n := range d.Networks.V6 {
		add(n.Type, n.IPAddress)
	}
	return out
}

// labels are the tags that are not ours, sorted.
func labels(tags []string) []string {
	var out []string
	for _, t := range tags {
		if !isOurs(t) {
			out = append(out, clean(t))
		}
	}
	slices.Sort(out)
	return out
}

// driftOf is how a droplet differs from what would be ordered now. What the API does not
// say (the slug of an image that is not offered any more) differs from nothing. ssh_keys
// and user_data are of first boot alone and are no drift.
func (p *Provider) driftOf(d godo.Droplet, m fleet.Machine) []fleet.Drift {
	var out []fleet.Drift
	differs := func(name, from, to string) {
		if from != "" && from != to {
			out = append(out, fleet.Drift{Name: name, From: clean(from), To: to, Fix: fleet.FixReplace})
		}
	}
	differs("size", d.SizeSlug, p.spec.Ocean.Size)
	if d.Image != nil {
		differs("image", d.Image.Slug, p.spec.Ocean.Image)
	}
	if i := strings.LastIndexByte(m.Node, '-'); i > 0 {
		differs("region", regionOf(d), m.Node[:i])
	}
	if !slices.Contains(d.Features, "ipv6") {
		differs("ipv6", "off", "on")
	}
	if !hasTag(d.Tags, p.fence()) {
		out = append(out, fleet.Drift{Name: "cloud firewall", From: "not before it", To: p.firewallName() + ", which closes all ports but the fleet's", Fix: fleet.FixInPlace})
	}
	if missing := p.missingTags(d, m); len(missing) > 0 {
		out = append(out, fleet.Drift{Name: "tags", From: "without " + strings.Join(missing, ", "), To: "with them", Fix: fleet.FixInPlace})
	}
	return out
}

// missingTags are those that a droplet does not have and that are known: its slot, which its
// name still says, and the spec's.
func (p *Provider) missingTags(d godo.Droplet, m fleet.Machine) []string {
	var out []string
	if slot := tagSlot + m.Node; !m.Unmarked && !hasTag(d.Tags, slot) {
		out = append(out, slot)
	}
	for _, t := range p.spec.Ocean.Tags {
		if !hasTag(d.Tags, t) {
			out = append(out, t)
		}
	}
	return out
}
