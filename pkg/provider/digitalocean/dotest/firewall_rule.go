package dotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// rule lets traffic of one protocol in from sources, or out to destinations.
type rule struct {
	Protocol     string  `json:"protocol"`
	Ports        string  `json:"ports"`
	Sources      *target `json:"sources,omitempty"`
	Destinations *target `json:"destinations,omitempty"`
	Action       string  `json:"action,omitempty"`
}

// target is where traffic comes from or goes to.
type target struct {
	Addresses        []string `json:"addresses,omitempty"`
	DropletIDs       []int    `json:"droplet_ids,omitempty"`
	LoadBalancerUIDs []string `json:"load_balancer_uids,omitempty"`
	KubernetesIDs    []string `json:"kubernetes_ids,omitempty"`
	Tags             []string `json:"tags,omitempty"`
}

// settle checks a rule and writes it as the API shows it: every port, and those of icmp,
// are "0", whatever was sent.
func (r *rule) settle(t *team, inbound bool) error {
	end := r.Destinations
	if inbound {
		end = r.Sources
	}
	switch {
	case end == nil || reflect.ValueOf(*end).IsZero():
		return errors.New("it names no source or destination")
	case r.Protocol == "icmp" && (r.Ports == "" || r.Ports == "all" || r.Ports == "0"):
		r.Ports = "0"
	case r.Ports == "all" || r.Ports == "0":
		r.Ports = "0"
	case !validPorts(r.Ports):
		return fmt.Errorf("ports: %q is no port or range", r.Ports)
	}
	for _, a := range end.Addresses {
		if _, err := netip.ParsePrefix(a); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(a); err != nil {
			return fmt.Errorf("addresses: %q is no address", a)
		}
	}
	if name, missing := t.missingTag(end.Tags); missing {
		return fmt.Errorf("tag %s does not exist", name)
	}
	return nil
}

// validPorts accepts "22" and "8000-9000".
func validPorts(ports string) bool {
	first, last, _ := strings.Cut(ports, "-")
	if last == "" && !strings.Contains(ports, "-") {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	return err1 == nil && err2 == nil && from > 0 && from <= to
}

// equal compares rules as they are shown.
func (r rule) equal(other rule) bool { return reflect.DeepEqual(r, other) }

// part reads a request for a part of a firewall.
func (q *call) part() (*firewall, firewallForm, *answer) {
	var form firewallForm
	f := q.team.firewall(q.params["firewall_id"])
	if f == nil {
		a := notFound()
		return nil, form, &a
	}
	if !q.team.mayUpdate(f) {
		a := forbidden()
		return nil, form, &a
	}
	if err := json.Unmarshal(q.body, &form); err != nil {
		a := refuse(http.StatusBadRequest, "bad_request", err.Error())
		return nil, form, &a
	}
	return f, form, nil
}

// whole is the firewall as a form, to add to.
func (f *firewall) whole() firewallForm {
	return firewallForm{
		Name: f.name, Inbound: slices.Clone(f.inbound), Outbound: slices.Clone(f.outbound),
		DropletIDs: slices.Clone(f.dropletIDs), Tags: slices.Clone(f.tags),
	}
}

// extend adds what the request names to its firewall, within the limits.
func extend(c *Cloud, q *call) answer {
	f, form, refusal := q.part()
	if refusal != nil {
		return *refusal
	}
	all := f.whole()
	all.Inbound, all.Outbound = append(all.Inbound, form.Inbound...), append(all.Outbound, form.Outbound...)
	for _, id := range form.DropletIDs {
		if !slices.Contains(all.DropletIDs, id) {
			all.DropletIDs = append(all.DropletIDs, id)
		}
	}
	for _, name := range form.Tags {
		if !slices.Contains(all.Tags, name) {
			all.Tags = append(all.Tags, name)
		}
	}
	if refusal := c.checkFirewall(q, &all); refusal != nil {
		return *refusal
	}
	f.become(all)
	return noContent()
}

func addFirewallDroplets(c *Cloud, q *call) answer { return extend(c, q) }
func addFirewallTags(c *Cloud, q *call) answer     { return extend(c, q) }
func addFirewallRules(c *Cloud, q *call) answer    { return extend(c, q) }

func removeFirewallDroplets(_ *Cloud, q *call) answer {
	f, form, refusal := q.part()
	if refusal != nil {
		return *refusal
	}
	f.dropletIDs = without(f.dropletIDs, form.DropletIDs...)
	return noContent()
}

func removeFirewallTags(_ *Cloud, q *call) answer {
	f, form, refusal := q.part()
	if refusal != nil {
		return *refusal
	}
	f.tags = without(f.tags, form.Tags...)
	return noContent()
}

// removeFirewallRules takes away rules that are given exactly as they are.
func removeFirewallRules(c *Cloud, q *call) answer {
	f, form, refusal := q.part()
	if refusal != nil {
		return *refusal
	}
	all := f.whole()
	for _, side := range []struct {
		have    *[]rule
		drop    []rule
		inbound bool
	}{{&all.Inbound, form.Inbound, true}, {&all.Outbound, form.Outbound, false}} {
		for _, r := range side.drop {
			if err := r.settle(q.team, side.inbound); err != nil {
				return c.misformed(q, "rule: %v", err)
			}
			at := slices.IndexFunc(*side.have, r.equal)
			if at < 0 {
				return notFound()
			}
			*side.have = slices.Delete(*side.have, at, at+1)
		}
	}
	if len(all.Inbound)+len(all.Outbound) == 0 {
		return c.misformed(q, "a firewall needs at least one rule")
	}
	f.become(all)
	return noContent()
}
