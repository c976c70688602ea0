package dotest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// firewall is a set of rules for droplets, named by ID or by tag.
type firewall struct {
	id         string
	name       string
	created    time.Time
	inbound    []rule
	outbound   []rule
	dropletIDs []int
	tags       []string
}

// firewallForm is a firewall as it is sent. Attributes left out are empty: a PUT resets
// them.
type firewallForm struct {
	Name       string   `json:"name"`
	Inbound    []rule   `json:"inbound_rules"`
	Outbound   []rule   `json:"outbound_rules"`
	DropletIDs []int    `json:"droplet_ids"`
	Tags       []string `json:"tags"`
}

type firewallBody struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	Status         string          `json:"status"`
	CreatedAt      string          `json:"created_at"`
	PendingChanges []pendingChange `json:"pending_changes"`
	Inbound        []rule          `json:"inbound_rules"`
	Outbound       []rule          `json:"outbound_rules"`
	DropletIDs     []int           `json:"droplet_ids"`
	Tags           []string        `json:"tags"`
}

type pendingChange struct {
	DropletID int    `json:"droplet_id"`
	Removing  bool   `json:"removing"`
	Status    string `json:"status"`
}

func (f *firewall) body() firewallBody {
	return firewallBody{
		ID: f.id, Name: f.name, Status: "succeeded", CreatedAt: stamp(f.created), PendingChanges: []pendingChange{},
		Inbound: append([]rule{}, f.inbound...), Outbound: append([]rule{}, f.outbound...),
		DropletIDs: append([]int{}, f.dropletIDs...), Tags: append([]string{}, f.tags...),
	}
}

// covers reports whether the firewall applies to a droplet.
func (f *firewall) covers(d *droplet) bool {
	return slices.Contains(f.dropletIDs, d.ID) || slices.ContainsFunc(f.tags, func(t string) bool { return slices.Contains(d.Tags, t) })
}

func (t *team) firewall(id string) *firewall {
	at := slices.IndexFunc(t.firewalls, func(f *firewall) bool { return f.id == id })
	if at < 0 {
		return nil
	}
	return t.firewalls[at]
}

func listFirewalls(_ *Cloud, q *call) answer {
	return page(q, "firewalls", q.firewalls(func(*firewall) bool { return true }))
}

func (q *call) firewalls(wanted func(*firewall) bool) []firewallBody {
	found := []firewallBody{}
	for _, f := range q.team.firewalls {
		if wanted(f) {
			found = append(found, f.body())
		}
	}
	return found
}

func listDropletFirewalls(_ *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	return page(q, "firewalls", q.firewalls(func(f *firewall) bool { return f.covers(d) }))
}

func getFirewall(_ *Cloud, q *call) answer {
	f := q.team.firewall(q.params["firewall_id"])
	if f == nil {
		return notFound()
	}
	return ok(map[string]any{"firewall": f.body()})
}

func createFirewall(c *Cloud, q *call) answer {
	form, refusal := c.firewallForm(q, nil)
	if refusal != nil {
		return *refusal
	}
	f := &firewall{id: c.uuid(), created: q.now}
	f.become(form)
	q.team.firewalls = append(q.team.firewalls, f)
	b := f.body()
	b.Status = "waiting"
	for _, d := range q.team.droplets {
		if f.covers(d) {
			b.PendingChanges = append(b.PendingChanges, pendingChange{DropletID: d.ID, Status: "waiting"})
		}
	}
	return accepted(map[string]any{"firewall": b})
}

func replaceFirewall(c *Cloud, q *call) answer {
	f := q.team.firewall(q.params["firewall_id"])
	if f == nil {
		return notFound()
	}
	if !q.team.mayUpdate(f) {
		return forbidden()
	}
	form, refusal := c.firewallForm(q, f)
	if refusal != nil {
		return *refusal
	}
	f.become(form)
	return ok(map[string]any{"firewall": f.body()})
}

// mayUpdate reports whether the token can read all that the firewall is attached to, as
// an update needs.
func (t *team) mayUpdate(f *firewall) bool {
	return (len(f.tags) == 0 || t.may("tag:read")) && (len(f.dropletIDs) == 0 || t.may("droplet:read"))
}

// become takes over all of a checked form.
func (f *firewall) become(form firewallForm) {
	f.name, f.tags, f.dropletIDs = form.Name, form.Tags, form.DropletIDs
	f.inbound, f.outbound = form.Inbound, form.Outbound
}

func deleteFirewall(_ *Cloud, q *call) answer {
	f := q.team.firewall(q.params["firewall_id"])
	if f == nil {
		return notFound()
	}
	q.team.firewalls = without(q.team.firewalls, f)
	return noContent()
}

// firewallName is the published pattern.
var firewallName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]+$`)

// firewallForm reads and checks the whole of a firewall; of is the one that it replaces.
func (c *Cloud) firewallForm(q *call, of *firewall) (firewallForm, *answer) {
	var form firewallForm
	if err := json.Unmarshal(q.body, &form); err != nil {
		a := refuse(http.StatusBadRequest, "bad_request", err.Error())
		return form, &a
	}
	if !firewallName.MatchString(form.Name) {
		a := c.misformed(q, "name: %q is not a name of a firewall", form.Name)
		return form, &a
	}
	for _, f := range q.team.firewalls {
		if f != of && f.name == form.Name {
			a := refuse(http.StatusConflict, "conflict", "duplicate name")
			return form, &a
		}
	}
	return form, c.checkFirewall(q, &form)
}

// checkFirewall holds a firewall to be against the documented limits, and writes its
// rules and tags as the API will show them.
func (c *Cloud) checkFirewall(q *call, form *firewallForm) *answer {
	refused := func(a answer) *answer { return &a }
	rules := len(form.Inbound) + len(form.Outbound)
	switch {
	case rules == 0:
		return refused(c.misformed(q, "a firewall needs at least one rule"))
	case rules > maxFirewallRules:
		return refused(c.misformed(q, "%d rules are more than %d", rules, maxFirewallRules))
	case len(form.Tags) > maxFirewallTags:
		return refused(c.misformed(q, "%d tags are more than %d", len(form.Tags), maxFirewallTags))
	case len(form.DropletIDs) > maxFirewallDroplets:
		return refused(c.misformed(q, "%d droplets are more than %d: use a tag", len(form.DropletIDs), maxFirewallDroplets))
	}
	for _, id := range form.DropletIDs {
		if q.team.droplet(id) == nil {
			return refused(unprocessable("droplet %d does not exist", id))
		}
	}
	var tags []string
	for _, name := range form.Tags {
		if _, missing := q.team.missingTag([]string{name}); missing {
			return refused(unprocessable("tag %s does not exist", name))
		}
		tags = q.team.addTag(tags, name)
	}
	form.Tags = tags
	for i := range form.Inbound {
		if err := form.Inbound[i].settle(q.team, true); err != nil {
			return refused(c.misformed(q, "inbound_rules/%d: %v", i, err))
		}
	}
	for i := range form.Outbound {
		if err := form.Outbound[i].settle(q.team, false); err != nil {
			return refused(c.misformed(q, "outbound_rules/%d: %v", i, err))
		}
	}
	return nil
}
