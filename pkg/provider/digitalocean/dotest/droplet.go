package dotest

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// droplet is one machine of an account.
type droplet struct {
	Machine          // Tags are those that it shows
	hidden  []string // tags of the create that are not applied yet
	status  string   // new, active or off, as it is shown
	created time.Time
	addrs   []netip.Addr
	ipv6    bool
	bare    bool // no box, although the cloud has some
	how     How  // of the create, if a fault spoilt it

	boot, tag pending
	booted    bool // the machine is there
	lost      bool // the machine could not be placed
	create    *action
	acting    *action // the last power action

	doomed    bool // deleted, and perhaps still seen
	destroyed bool // the machine is no more
	dying     pending

	cancel context.CancelFunc // of the boot
	last   <-chan struct{}    // closed when the last call of Boxes for it has ended
}

// machine is the droplet as it was ordered, with all of its tags, shown or not.
func (d *droplet) machine() Machine {
	m := d.Machine
	m.Tags, m.PublicKeys = slices.Concat(m.Tags, without(d.hidden, m.Tags...)), slices.Clone(m.PublicKeys)
	return m
}

// read counts an answer that showed the droplet, or could have.
func (d *droplet) read() {
	for _, p := range []*pending{&d.boot, &d.tag, &d.dying} {
		p.reads--
	}
	if d.acting != nil {
		d.acting.lag.reads--
	}
}

// settle lets happen what is due by now.
func (c *Cloud) settle(t *team, now time.Time) {
	for _, d := range t.droplets {
		if d.hidden != nil && d.how != NeverTagged && d.tag.over(now) {
			d.Tags, d.hidden = d.machine().Tags, nil
		}
		if d.status == "new" && d.booted && d.how != NeverActive && d.boot.over(now) {
			d.status = "active"
			d.create.complete("completed", now)
		}
		if d.status == "new" && (d.lost || d.how == Misplaced) && d.boot.over(now) {
			d.lost = true
			d.create.complete("errored", now)
		}
	}
	for _, a := range t.actions {
		a.settle(now)
	}
	t.droplets = slices.DeleteFunc(t.droplets, func(d *droplet) bool {
		gone := d.lost && d.status == "new" && d.boot.over(now) || d.doomed && d.destroyed && d.dying.over(now)
		if gone {
			t.forget(d.ID)
		}
		return gone
	})
}

// forget drops a droplet that is gone from what names it by ID.
func (t *team) forget(id int) {
	for _, f := range t.firewalls {
		f.dropletIDs = slices.DeleteFunc(f.dropletIDs, func(have int) bool { return have == id })
	}
}

func (t *team) droplet(id int) *droplet {
	at := slices.IndexFunc(t.droplets, func(d *droplet) bool { return d.ID == id })
	if at < 0 {
		return nil
	}
	return t.droplets[at]
}

func listDroplets(c *Cloud, q *call) answer {
	tag, byTag := q.query.Get("tag_name"), q.query.Has("tag_name")
	name, byName := q.query.Get("name"), q.query.Has("name")
	if byTag && (byName || q.query.Has("type")) {
		return c.misformed(q, "tag_name cannot be combined with name or type")
	}
	found := []dropletBody{}
	for _, d := range q.team.droplets {
		if q.query.Get("type") != "gpus" && (!byName || strings.EqualFold(d.Name, name)) &&
			(!byTag || slices.Contains(d.Tags, tag)) {
			found = append(found, c.body(d))
		}
		d.read()
	}
	return page(q, "droplets", found)
}

func getDroplet(c *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	body := c.body(d)
	d.read()
	return ok(map[string]any{"droplet": body})
}

func deleteDroplet(c *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	c.doom(q, d)
	return noContent()
}

// deleteDropletsByTag is served because it exists; Cloud.Calls shows who used it.
func deleteDropletsByTag(c *Cloud, q *call) answer {
	tag := q.query.Get("tag_name")
	if have := q.team.tags[strings.ToLower(tag)]; have == nil || have.name != tag {
		return notFound()
	}
	for _, d := range q.team.droplets {
		if slices.Contains(d.Tags, tag) {
			c.doom(q, d)
		}
	}
	return noContent()
}

// doom begins the end of a droplet, which is gone for the next request at the earliest.
// Deleting it again meanwhile changes nothing.
func (c *Cloud) doom(q *call, d *droplet) {
	if d.doomed || q.fault.How == NeverGone {
		return
	}
	d.doomed = true
	d.dying = c.cfg.Delete.from(q.now)
	c.destroy(q.r.Context(), d)
}

// pendingEvent refuses what a droplet cannot do while another action is under way.
func pendingEvent() answer {
	return unprocessable("Droplet already has a pending event.")
}
