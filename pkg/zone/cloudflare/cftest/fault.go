package cftest

import (
	"net/http"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

// How is what happens to a request.
type How int

// What can happen. Before and After are of the request's effect.
const (
	Serve            How = iota
	Busy                 // 429 with a Retry-After of one second, once; nothing is done
	RateLimited          // 429, and so is all that the token asks for in five minutes; nothing is done
	ErrorBefore          // 500, nothing is done
	ErrorAfter           // 500, and it is done all the same
	BadGatewayBefore     // 502 of a proxy, in HTML; nothing is done
	BadGatewayAfter      // 502 of a proxy, and it is done all the same
	ResetBefore          // connection reset, nothing is done
	ResetAfter           // connection reset, and it is done
	HangBefore           // no answer until the client gives up; nothing is done
	HangAfter            // no answer until the client gives up; it is done
	Unauthorised         // 403 with code 10000, as they are seen now and then; nothing is done
	Garbled              // 200 with half a JSON text; it is done
)

// Fault is one step of a script: which requests, and what happens to them.
type Fault struct {
	Method string // empty: any
	// Path is a template without the base path ("/zones/{zone_id}/dns_records") or a
	// pattern of path.Match for the whole path; empty: any.
	Path   string
	Writes bool // only requests that change records
	Nth    int  // the first of the matching requests that is hit, from 1; 0 is 1
	Times  int  // how many are hit from there; 0 is 1, negative is all
	How    How
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

// Heal forgets the script, and lets tokens in again that are kept out for their rate.
func (c *Cloud) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
	for _, t := range c.tokens {
		t.blocked = time.Time{}
	}
}

// pick counts the request in every step, and says what happens to it.
func (c *Cloud) pick(q *call) How {
	how := Serve
	for _, s := range c.faults {
		if s.hits(q) && how == Serve {
			how = s.How
		}
	}
	return how
}

// hits counts a matching request and reports whether it is one to fail.
func (s *script) hits(q *call) bool {
	step := apitest.Step{Method: s.Method, Path: s.Path, Nth: s.Nth, Times: s.Times}
	if !step.Matches(q.r.Method, q.route.path, q.r.URL.Path) || s.Writes && !writes(q.r.Method) {
		return false
	}
	s.seen++
	return step.Hits(s.seen)
}

// instead is the answer of a fault that keeps the request from having an effect; nil for
// the others.
func (c *Cloud) instead(q *call) *refusal {
	switch q.how {
	case Busy:
		return c.tooMany(q, time.Second)
	case RateLimited:
		if q.token == nil {
			return c.tooMany(q, rateWindow)
		}
		return c.block(q)
	case ErrorBefore, BadGatewayBefore, ResetBefore, HangBefore:
		return serverError()
	case Unauthorised:
		return unauthenticated()
	default:
		return nil
	}
}

func serverError() *refusal {
	return refuse(http.StatusInternalServerError, codeInternal, "Internal server error")
}
