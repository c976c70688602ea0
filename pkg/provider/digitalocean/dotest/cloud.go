package dotest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

// Config is what a cloud is made of. The zero value is one account with the token
// [DefaultToken], the documented limits, no machines behind the droplets, and no delays
// but those that every create has: it is "new" in its own answer.
type Config struct {
	Accounts []Account
	Limits   Limits
	Boxes    Boxes              // nil: droplets get addresses and are nothing else
	Now      func() time.Time   // nil: time.Now
	Prices   map[string]float64 // US dollars a month by size; others are those of the catalogue
	Log      *slog.Logger       // nil: silent; of boxes that could not be booted, switched or destroyed

	Boot   Lag // from the create until the droplet is active and has addresses
	Tag    Lag // from the create until the droplet shows its tags
	Act    Lag // from a power action until it is completed
	Delete Lag // from the delete until the droplet is gone
}

// Lag says how long something is not yet seen. Both must be over; zero is at once.
type Lag struct {
	Reads int           // answers that show the droplet, or count it, as it was before
	Wait  time.Duration // by Config.Now
}

// pending is a lag that began.
type pending struct {
	reads int
	until time.Time
}

func (l Lag) from(now time.Time) pending { return pending{reads: l.Reads, until: now.Add(l.Wait)} }

func (p *pending) over(now time.Time) bool { return p.reads <= 0 && !now.Before(p.until) }

// Cloud is a simulated DigitalOcean. Its methods may be called from many goroutines.
type Cloud struct {
	cfg      Config
	contract *apitest.Description
	mux      *http.ServeMux
	stop     chan struct{}
	stopOnce sync.Once
	wg       sync.WaitGroup // calls of Boxes

	mu         sync.Mutex // everything below
	teams      map[string]*team
	ids        ids
	seen       int // requests, from 1
	calls      map[string]int
	requests   []Request
	violations []string
	faults     []*script
	around     Around
}

// ids are the last numbers given away; none is used twice.
type ids struct{ droplet, action, key, uuid int }

// New makes a cloud. A configuration that cannot work (an account without a token, a
// token twice) panics: it is a mistake in a test.
func New(cfg Config) *Cloud {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Accounts) == 0 {
		cfg.Accounts = []Account{{Token: DefaultToken}}
	}
	cfg.Limits = cfg.Limits.withDefaults()
	c := &Cloud{
		cfg:      cfg,
		contract: published(),
		stop:     make(chan struct{}),
		teams:    map[string]*team{},
		ids:      ids{droplet: 400_000_000, action: 2_000_000_000, key: 40_000_000},
		calls:    map[string]int{},
	}
	c.mux = c.newMux()
	for _, a := range cfg.Accounts {
		if a.Token == "" || c.teams[a.Token] != nil {
			panic("dotest: an account without a token, or a token twice")
		}
		c.teams[a.Token] = newTeam(a)
	}
	return c
}

// Handler serves the API under /v2.
func (c *Cloud) Handler() http.Handler { return c.mux }

// Close ends requests that hang and boots under way, destroys every box, and waits for
// all of it until ctx ends. The cloud answers 503 afterwards.
func (c *Cloud) Close(ctx context.Context) error {
	c.stopOnce.Do(func() { close(c.stop) })
	c.mu.Lock()
	var destroyed []<-chan error
	for _, t := range c.teams {
		for _, d := range t.droplets {
			destroyed = append(destroyed, c.destroy(ctx, d))
		}
	}
	c.mu.Unlock()
	var errs []error
	for _, done := range destroyed {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-ctx.Done():
		}
	}
	idle := make(chan struct{})
	go func() { c.wg.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-ctx.Done():
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// stopped reports whether Close was called.
func (c *Cloud) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// Calls counts the requests since the start or [Cloud.ResetCalls], by method and path
// template: "DELETE /v2/droplets/{droplet_id}". What the cloud does not serve is counted
// under the path as it came.
func (c *Cloud) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// ResetCalls forgets [Cloud.Calls] and [Cloud.Requests].
func (c *Cloud) ResetCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.calls)
	c.requests = nil
}

// Request is one request that the cloud received.
type Request struct {
	Method   string
	Template string // path template; the path itself where the cloud serves no such path
	Path     string
	Query    string
	Status   int // of the answer; 0: none was given
}

// requestsKept bounds what a cloud that runs for days remembers.
const requestsKept = 10_000

// Requests lists what [Cloud.Calls] counts in the order in which the requests ended,
// the last 10,000.
func (c *Cloud) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// Violations lists what did not conform: requests that the published description or a
// limit on their form forbids (they were refused), calls of nothing that the cloud
// serves, and answers of the cloud that broke the description, which is a bug here. A
// request that was refused for what the account holds (quota, unknown key) is none.
func (c *Cloud) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.violations)
}

// violation records one; the last 10,000 are kept.
func (c *Cloud) violation(what string) {
	c.violations = append(c.violations, what)
	if len(c.violations) > requestsKept {
		c.violations = c.violations[1:]
	}
}
