package dotest

import (
	"cmp"
	"net/http"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

// How is what happens to a request.
type How int

// What can happen. Before and After are of the request's effect.
const (
	Serve            How = iota
	Busy                 // 429 with a retry-after of Fault.Retry; nothing is done
	Exhausted            // 429 without, as beyond the hourly limit; nothing is done
	ErrorBefore          // 500, nothing is done
	ErrorAfter           // 500, and it is done all the same
	BadGatewayBefore     // 502 of a proxy, in HTML; nothing is done
	BadGatewayAfter      // 502 of a proxy, and it is done all the same
	ResetBefore          // connection reset, nothing is done
	ResetAfter           // connection reset, and it is done
	HangBefore           // no answer until the client gives up; nothing is done
	HangAfter            // no answer until the client gives up; it is done
	SoldOut              // 422: the size is not to be had in the region
	OverLimit            // 422: beyond the droplet limit, whatever it is
	Misplaced            // of a create: 202, and then the droplet cannot be placed and is gone
	NeverActive          // of a create: the droplet stays "new"
	NeverTagged          // of a create: the droplet never shows the tags of the create
	NeverGone            // of a delete: 204, and the droplet lives on
)

// Fault is one step of a script: which requests, and what happens to them.
type Fault struct {
	Method string // empty: any
	// Path is a template ("/v2/droplets/{droplet_id}") or a pattern of path.Match
	// ("/v2/droplets/*"); empty: any.
	Path  string
	Nth   int // the first of the matching requests that is hit, from 1; 0 is 1
	Times int // how many are hit from there; 0 is 1, negative is all
	How   How
	Retry time.Duration // what Busy asks for; 0 is a second
}

// script is a fault and how far it has come.
type script struct {
	Fault
	seen int
}

// Fail adds a step to the script. Every request counts for every step; the first step
// that hits it decides.
func (c *Cloud) Fail(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, &script{Fault: f})
}

// Heal forgets the script. Droplets that it spoilt stay so.
func (c *Cloud) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// pick counts the request in every step, and returns the one that decides about it.
func (c *Cloud) pick(q *call) Fault {
	var first Fault
	for _, s := range c.faults {
		if s.hits(q) && first.How == Serve {
			first = s.Fault
		}
	}
	return first
}

// hits counts a matching request and reports whether it is one to fail.
func (s *script) hits(q *call) bool {
	step := apitest.Step{Method: s.Method, Path: s.Path, Nth: s.Nth, Times: s.Times}
	if !step.Matches(q.r.Method, q.route.path, q.r.URL.Path) {
		return false
	}
	s.seen++
	return step.Hits(s.seen)
}

// instead is the answer of a fault that keeps the request from having an effect.
func (f Fault) instead() (answer, bool) {
	switch f.How {
	case Busy:
		return tooMany(cmp.Or(f.Retry, time.Second)), true
	case Exhausted:
		return tooMany(0), true
	case ErrorBefore:
		return serverError(), true
	case BadGatewayBefore, ResetBefore, HangBefore:
		return answer{}, true
	case SoldOut:
		return unprocessable("Size is not available in this region."), true
	case OverLimit:
		return overLimit(), true
	default:
		return answer{}, false
	}
}

func serverError() answer {
	return refuse(http.StatusInternalServerError, "server_error", "Unexpected server-side error")
}

// overLimit says what DigitalOcean says.
func overLimit() answer {
	return unprocessable("creating this/these droplet(s) will exceed your droplet limit")
}
