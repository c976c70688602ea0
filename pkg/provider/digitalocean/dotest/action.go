package dotest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// action is something that happens to a droplet.
type action struct {
	id        int
	kind      string // create, power_on, ...
	droplet   *droplet
	status    string // in-progress, completed or errored
	started   time.Time
	completed time.Time

	lag          pending
	done, failed bool // what it does has ended
}

type actionBody struct {
	ID           int        `json:"id"`
	Status       string     `json:"status"`
	Type         string     `json:"type"`
	StartedAt    string     `json:"started_at"`
	CompletedAt  *string    `json:"completed_at"`
	ResourceID   int        `json:"resource_id"`
	ResourceType string     `json:"resource_type"`
	Region       regionBody `json:"region"`
	RegionSlug   string     `json:"region_slug"`
}

func (a *action) body() actionBody {
	region, _ := findRegion(a.droplet.Region)
	b := actionBody{
		ID: a.id, Status: a.status, Type: a.kind, StartedAt: stamp(a.started), ResourceID: a.droplet.ID,
		ResourceType: "droplet", Region: region, RegionSlug: a.droplet.Region,
	}
	if a.status != "in-progress" {
		at := stamp(a.completed)
		b.CompletedAt = &at
	}
	return b
}

func (c *Cloud) newAction(t *team, d *droplet, kind string, now time.Time) *action {
	c.ids.action++
	a := &action{id: c.ids.action, kind: kind, droplet: d, status: "in-progress", started: now, lag: c.cfg.Act.from(now)}
	t.actions = append(t.actions, a)
	return a
}

// complete ends an action once.
func (a *action) complete(status string, now time.Time) {
	if a.status == "in-progress" {
		a.status, a.completed = status, now
	}
}

// switches says what a power action does to the machine.
func (a *action) switches() (off, on bool) {
	switch a.kind {
	case "power_off", "shutdown":
		return true, false
	case "power_on":
		return false, true
	default: // reboot, power_cycle
		return true, true
	}
}

// settle lets a power action have its effect when it is due.
func (a *action) settle(now time.Time) {
	if a.kind == "create" || a.status != "in-progress" || !a.done || !a.lag.over(now) {
		return
	}
	if a.failed {
		a.complete("errored", now)
		return
	}
	a.droplet.status = "active"
	if _, on := a.switches(); !on {
		a.droplet.status = "off"
	}
	a.complete("completed", now)
}

func listActions(_ *Cloud, q *call) answer { return page(q, "actions", q.actions(0)) }

// actions are those of a droplet, or with zero all of the account, the newest first.
func (q *call) actions(droplet int) []actionBody {
	found := []actionBody{}
	for _, a := range slices.Backward(q.team.actions) {
		if droplet == 0 || a.droplet.ID == droplet {
			found = append(found, a.body())
		}
	}
	return found
}

func listDropletActions(_ *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	return page(q, "actions", q.actions(d.ID))
}

// getAction counts as a read of the droplet, so that a create can be followed by it alone.
func getAction(_ *Cloud, q *call) answer {
	for _, a := range q.team.actions {
		if _, ofOne := q.params["droplet_id"]; a.id != q.id("action_id") || ofOne && a.droplet.ID != q.id("droplet_id") {
			continue
		}
		body := a.body()
		a.droplet.read()
		return ok(map[string]any{"action": body})
	}
	return notFound()
}

// act begins a power action. Those of other kinds are refused: the cloud has none.
func act(c *Cloud, q *call) answer {
	d := q.team.droplet(q.id("droplet_id"))
	if d == nil {
		return notFound()
	}
	var form struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(q.body, &form); err != nil {
		return refuse(http.StatusBadRequest, "bad_request", err.Error())
	}
	busy := d.status == "new" || d.doomed || d.acting != nil && d.acting.status == "in-progress"
	switch form.Type {
	case "power_on":
		if d.status == "active" {
			return unprocessable("Droplet is already powered on.")
		}
	case "power_off":
		if d.status == "off" {
			return unprocessable("Droplet is already powered off.")
		}
	case "shutdown", "reboot", "power_cycle":
		if d.status == "off" {
			return unprocessable("Droplet is currently off. Please power it on to run this event.")
		}
	default:
		return unprocessable("the simulated cloud has no action of the type %q", form.Type)
	}
	if busy {
		return pendingEvent()
	}
	a := c.newAction(q.team, d, form.Type, q.now)
	d.acting = a
	c.switching(q.r.Context(), d, a)
	return created(map[string]any{"action": a.body()})
}
