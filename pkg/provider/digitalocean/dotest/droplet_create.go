package dotest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// createForm is a create of one droplet (name) or several (names).
type createForm struct {
	Name     string   `json:"name"`
	Names    []string `json:"names"`
	Region   string   `json:"region"`
	Size     string   `json:"size"`
	Image    any      `json:"image"` // slug or ID
	SSHKeys  []any    `json:"ssh_keys"`
	IPv6     bool     `json:"ipv6"`
	UserData string   `json:"user_data"`
	Tags     []string `json:"tags"`
}

type actionLink struct {
	ID   int    `json:"id"`
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

func createDroplets(c *Cloud, q *call) answer {
	if !q.team.may("tag:create", "ssh_key:read", "image:read", "vpc:read") { // besides droplet:create
		return forbidden()
	}
	var form createForm
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	several := form.Names != nil
	names := form.Names
	if !several {
		names = []string{form.Name}
	}
	order, refusal := c.order(q, form, names)
	if refusal != nil {
		return *refusal
	}
	if len(q.team.droplets)+len(names) > q.team.DropletLimit {
		return overLimit()
	}
	bodies, actions := []dropletBody{}, []actionLink{}
	for _, name := range names {
		d := c.add(q, order, name)
		b := c.body(d)
		b.Status, b.Locked, b.Networks = "new", true, networksBody{V4: []network4{}, V6: []network6{}}
		bodies = append(bodies, b)
		actions = append(actions, actionLink{
			ID: d.create.id, Rel: "create", Href: fmt.Sprintf("http://%s/v2/actions/%d", q.r.Host, d.create.id),
		})
	}
	related := map[string]any{"actions": actions}
	if several {
		return accepted(map[string]any{"droplets": bodies, "links": related})
	}
	return accepted(map[string]any{"droplet": bodies[0], "links": related})
}

// order checks what the droplets have in common.
func (c *Cloud) order(q *call, form createForm, names []string) (*droplet, *answer) {
	refused := func(a answer) (*droplet, *answer) { return nil, &a }
	switch {
	case len(names) == 0 || len(names) > maxNames:
		return refused(c.misformed(q, "names: got %d, want 1 to %d", len(names), maxNames))
	case len(form.UserData) > maxUserData:
		return refused(c.misformed(q, "user_data: %d bytes are more than 64 KiB", len(form.UserData)))
	}
	for _, tag := range form.Tags {
		if !validTag(tag) {
			return refused(c.misformed(q, "tags: %q is not a tag", tag))
		}
	}
	size, known := c.findSize(form.Size)
	if !known {
		return refused(unprocessable("You specified an invalid size for Droplet creation."))
	}
	image, known := findImage(fmt.Sprint(form.Image))
	if id, is := form.Image.(float64); is {
		image, known = findImage(strconv.Itoa(int(id)))
	}
	if !known {
		return refused(unprocessable("You specified an invalid image for Droplet creation."))
	}
	region, known := findRegion(form.Region)
	switch {
	case !known:
		return refused(unprocessable("You specified an invalid region for Droplet creation."))
	case !region.Available || !size.Available || !slices.Contains(size.Regions, region.Slug):
		return refused(unprocessable("Size is not available in this region."))
	}
	d := &droplet{
		Machine: Machine{Region: region.Slug, Size: size.Slug, Image: image.Slug, UserData: form.UserData},
		ipv6:    form.IPv6,
	}
	var invalid []string
	for _, named := range form.SSHKeys {
		id := fmt.Sprint(named)
		if number, is := named.(float64); is {
			id = strconv.Itoa(int(number))
		}
		k := q.team.key(id)
		if k == nil {
			invalid = append(invalid, id)
			continue
		}
		d.PublicKeys = append(d.PublicKeys, k.publicKey)
	}
	if invalid != nil {
		return refused(unprocessable("%s are invalid key identifiers for Droplet creation.", strings.Join(invalid, ", ")))
	}
	for _, tag := range form.Tags {
		d.hidden = q.team.addTag(d.hidden, tag)
	}
	return d, nil
}

// add makes one droplet of an order.
func (c *Cloud) add(q *call, order *droplet, name string) *droplet {
	c.ids.droplet++
	d := &droplet{
		Machine: order.Machine, hidden: slices.Clone(order.hidden), status: "new", created: q.now, ipv6: order.ipv6, how: q.fault.How,
		boot: c.cfg.Boot.from(q.now), tag: c.cfg.Tag.from(q.now),
	}
	d.ID, d.Name = c.ids.droplet, name
	d.create = c.newAction(q.team, d, "create", q.now)
	q.team.droplets = append(q.team.droplets, d)
	c.booting(q.r.Context(), q.team, d)
	return d
}
