package cftest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/pkg/apiwire/apitest"
)

// BasePath is what every path of the API begins with.
const BasePath = "/client/v4"

// Config is what a cloud is made of. The zero value is one active zone on the Free plan,
// [DefaultZone], a token that may do everything in it, [DefaultToken], and two name
// servers that know of every change at once.
type Config struct {
	Zones       []Zone
	Tokens      []Token
	Limits      Limits
	NameServers []string         // host names; nil: ada and bob.ns.cloudflare.example
	Now         func() time.Time // nil: time.Now

	// ShowAddrs names the name servers in a zone by their addresses, host:port, as soon as
	// [Cloud.ServeDNS] knows them: no DNS finds the hosts, and no server is at port 53.
	ShowAddrs bool
	// DuplicateCode is that of an identical record: 81058, or 81057 as it used to be.
	// Zero is 81058.
	DuplicateCode int
	// QuotesDiffer makes x and "x" two records. Which it is there is not documented.
	QuotesDiffer bool
	// BatchStatus is the status of a batch that was refused for one of its operations.
	// Zero is that of the single call. Which it is there is not documented.
	BatchStatus int
	// NullLists makes the lists of a batch's answer null where the request had none. The
	// description allows [] alone.
	NullLists bool
}

// Names of the zero [Config].
const (
	DefaultZone  = "example.test"
	DefaultToken = "cftest"
)

// Cloud is a simulated Cloudflare. Its methods may be called from many goroutines.
type Cloud struct {
	cfg      Config
	contract *apitest.Description
	mux      *http.ServeMux
	stop     chan struct{}
	stopOnce sync.Once

	mu         sync.Mutex // everything below
	zones      []*zone
	tokens     map[string]*token
	servers    []*server
	ids        int // the last number that an ID was made of
	seen       int // requests, from 1
	perSecond  window
	calls      map[string]int
	requests   []Request
	violations []string
	faults     []*script
	around     Around
}

// New makes a cloud. A configuration that cannot work panics with what [Check] says: it is
// a mistake in a test.
func New(cfg Config) *Cloud {
	if err := Check(cfg); err != nil {
		panic("cftest: " + err.Error())
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Zones) == 0 {
		cfg.Zones = []Zone{{Name: DefaultZone}}
	}
	if len(cfg.Tokens) == 0 {
		cfg.Tokens = []Token{{Value: DefaultToken, Grants: []Grant{{Zone: cfg.Zones[0].Name, May: All}}}}
	}
	if cfg.NameServers == nil {
		cfg.NameServers = []string{"ada.ns.cloudflare.example", "bob.ns.cloudflare.example"}
	}
	if cfg.DuplicateCode == 0 {
		cfg.DuplicateCode = codeIdentical
	}
	cfg.Limits = cfg.Limits.withDefaults()
	c := &Cloud{
		cfg: cfg, contract: published(), stop: make(chan struct{}),
		tokens: map[string]*token{}, calls: map[string]int{},
	}
	for _, z := range cfg.Zones {
		c.addZone(z)
	}
	for _, t := range cfg.Tokens {
		c.addToken(t)
	}
	for _, host := range cfg.NameServers {
		c.servers = append(c.servers, newServer(host))
	}
	c.mux = c.newMux()
	return c
}

// Check says why a cloud cannot be made of a configuration: a zone with a name that no zone
// has, a token without a value or twice, a grant of a zone that is not there.
func Check(cfg Config) error {
	zones := map[string]bool{"": true}
	for _, z := range cfg.Zones {
		if !zoneName.MatchString(z.Name) {
			return fmt.Errorf("zone %q: a zone cannot be called that", z.Name)
		}
		zones[z.Name] = true
	}
	tokens := map[string]bool{"": true}
	for i, t := range cfg.Tokens {
		if tokens[t.Value] {
			return fmt.Errorf("token %d: it has no value, or that of another one", i+1)
		}
		tokens[t.Value] = true
		for _, g := range t.Grants {
			if !zones[g.Zone] && len(cfg.Zones) > 0 {
				return fmt.Errorf("token %d: a grant of %s, which is no zone of the cloud", i+1, g.Zone)
			}
		}
	}
	return nil
}

// Handler serves the API under [BasePath].
func (c *Cloud) Handler() http.Handler { return c.mux }

// Close ends requests that hang; the cloud answers 503 afterwards.
func (c *Cloud) Close(context.Context) error {
	c.stopOnce.Do(func() { close(c.stop) })
	return nil
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
// template without the base path: "POST /zones/{zone_id}/dns_records/batch". What the
// cloud does not serve is counted under the path as it came.
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
	Template string // path template without the base path; the path itself where nothing is served
	Path     string
	Query    string
	Status   int // of the answer; 0: none was given
}

// Write reports whether the request is one that changes records.
func (r Request) Write() bool { return writes(r.Method) }

func writes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// requestsKept bounds what a cloud that runs for days remembers.
const requestsKept = 10_000

// Requests lists what [Cloud.Calls] counts in the order in which the requests ended, the
// last 10,000.
func (c *Cloud) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// Violations lists what did not conform: requests that the published description forbids
// (they were refused), keys and parameters that it does not know, calls of nothing that
// the cloud serves, and answers of the cloud that broke the description, which is a bug
// here. A request that was refused for what the zone holds or its plan allows is none.
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
