package dotest

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// droplet is one machine of an account.
type droplet struct {
	Machine
	status  string // new, active or off, as it is shown
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

func (d *droplet) machine() Machine {
	m := d.Machine
	m.Tags, m.PublicKeys = slices.Clone(m.Tags), slices.Clone(m.PublicKeys)
	return m
}

// tagged reports whether the droplet shows its tags.
func (d *droplet) tagged(now time.Time) bool { return d.how != NeverTagged && d.tag.over(now) }

// shownTags are the tags that a reader sees.
func (d *droplet) shownTags(now time.Time) []string {
	if !d.tagged(now) {
		return []string{}
	}
	return append([]string{}, d.Tags...)
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
			(!byTag || slices.Contains(d.shownTags(q.now), tag)) {
			found = append(found, d.body(q.now))
		}
		d.read()
	}
	return page(q, "droplets", found)
}

func getDroplet(_ *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	body := d.body(q.now)
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

// doom begins the end of a droplet. Deleting it again meanwhile changes nothing.
func (c *Cloud) doom(q *call, d *droplet) {
	if d.doomed || q.how == NeverGone {
		return
	}
	d.doomed = true
	d.dying = c.cfg.Delete.from(q.now)
	c.destroy(q.r.Context(), d)
	c.settle(q.team, q.now)
}

// scopesOfCreate are what a token needs for a create besides droplet:create.
func scopesOfCreate() []string {
	return []string{"tag:create", "ssh_key:read", "image:read", "vpc:read"}
}

// pendingEvent refuses what a droplet cannot do while another action is under way.
func pendingEvent() answer {
	return refuse(http.StatusUnprocessableEntity, "unprocessable_entity", "Droplet already has a pending event.")
}
