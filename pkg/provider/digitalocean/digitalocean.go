package digitalocean

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/godo"

	"github.com/relayfleet/fleetctl/fleet"
)

// Config is what a provider works with.
type Config struct {
	// Spec is the fleet, complete with defaults.
	Spec fleet.Spec
	// Token opens the account; see [TokenFrom].
	Token Token
	// BaseURL is where the API is; "" is DigitalOcean. Only loopback may be without TLS.
	BaseURL string
	// Bootstrap makes what a new machine boots with: user_data that lets keys in, and in
	// authorized_keys form the public half of the host key in it. It is called once for
	// each order.
	Bootstrap func(keys []string) (userData, hostKey string, err error)
	// Keys are public SSH keys, in authorized_keys form, that new machines know beside the
	// operator's and those that the spec names by fingerprint.
	Keys []string
	// Log gets what is waited for, and below debug every request without its headers. Nil
	// discards it.
	Log *slog.Logger
	// Transport carries the requests; nil is a transport with usual timeouts.
	Transport http.RoundTripper
	// Waits are how long what takes; zero fields are the usual times.
	Waits Waits
}

// Waits are intervals and deadlines. Tests shorten them.
type Waits struct {
	Every   time.Duration // between two requests, after the first 40; 240 take 240 times as long; 250 ms
	Call    time.Duration // for the answer to one request; 30 s
	Backoff time.Duration // the first pause after an answer that failed; 500 ms
	Hold    time.Duration // the longest that a used-up rate is waited for; 1 min
	First   time.Duration // before the first look at an ordered droplet; 1 s
	Poll    time.Duration // between two lists of droplets that are waited for; 5 s
	Ready   time.Duration // until an ordered droplet is active; 10 min
	Gone    time.Duration // until a deleted droplet is not found; 10 min
	Again   time.Duration // before a droplet that is deleted and still there is deleted again; 1 min
	Marks   time.Duration // until an ordered droplet shows its tags; 30 s, then it is tagged again
	Doubt   time.Duration // for which an order without an answer is looked for; 1 min
}

func (w Waits) withDefaults() Waits {
	for _, d := range []struct {
		wait  *time.Duration
		usual time.Duration
	}{
		{&w.Every, 250 * time.Millisecond}, {&w.Call, 30 * time.Second}, {&w.Backoff, 500 * time.Millisecond}, {&w.Hold, time.Minute},
		{&w.First, time.Second}, {&w.Poll, 5 * time.Second}, {&w.Ready, 10 * time.Minute}, {&w.Gone, 10 * time.Minute}, {&w.Again, time.Minute},
		{&w.Marks, 30 * time.Second}, {&w.Doubt, time.Minute},
	} {
		if *d.wait == 0 {
			*d.wait = d.usual
		}
	}
	return w
}

// Provider is a fleet's droplets, and what the account keeps for them. It is safe for
// concurrent use, and so are several of them over one account.
type Provider struct {
	spec  fleet.Spec
	cfg   Config
	log   *slog.Logger
	api   *godo.Client
	trans *transport

	all     shared[[]godo.Droplet] // of the whole account
	ours    shared[[]godo.Droplet] // with the fleet's tag
	walls   shared[[]godo.Firewall]
	polling poller[[]godo.Droplet]
	orders  keyed // by operation
	moving  keyed // by the name of the firewall, which is written by one at a time

	mu    sync.Mutex
	canon map[string]string     // tags as the account writes them, by their lower case
	seen  map[int]sighting      // droplets of ours, by ID
	keys  map[string]accountKey // by fingerprint
	sold  *catalogue            // what can be bought
	sent  map[string]uint64     // by operation: the writes that were over after its order

	unnamed   error // why keys that the spec names are not known; nil: they are, or nobody looked
	unnamedAt time.Time
}

var (
	_ fleet.Provider = (*Provider)(nil)
	_ fleet.Adopter  = (*Provider)(nil)
)

// New returns a provider. Nothing is read, not even the token, before it is used.
func New(cfg Config) (*Provider, error) {
	if cfg.Spec.Name == "" || cfg.Token == nil || cfg.Bootstrap == nil {
		return nil, errors.New("provider digitalocean: a fleet's name, a token and what machines boot with are needed")
	}
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("provider digitalocean: %w", err)
	}
	cfg.Waits = cfg.Waits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{
		spec: cfg.Spec, cfg: cfg, log: cfg.Log,
		walls: shared[[]godo.Firewall]{fresh: 2 * time.Second},
		canon: make(map[string]string), seen: make(map[int]sighting), keys: make(map[string]accountKey), sent: make(map[string]uint64),
	}
	p.trans = newTransport(cfg, base)
	client := &http.Client{
		Transport: p.trans,
		// The token goes to the API alone, wherever that sends us.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if p.api, err = godo.New(client, godo.SetBaseURL(base.String()), godo.SetUserAgent("fleetctl")); err != nil {
		return nil, fmt.Errorf("provider digitalocean: %w", err)
	}
	return p, nil
}

// baseURL reads where the API is.
func baseURL(text string) (*url.URL, error) {
	if text == "" {
		text = "https://api.digitalocean.com/"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the API's address is not a URL")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("the API's address %q: want a scheme and a host alone", u.Redacted())
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		u.Path = "/"
		return u, nil
	}
	return nil, fleet.WithHint(fmt.Errorf("the API's address %q: the token would be sent without TLS", u.Redacted()),
		"use https; plain http is for loopback only")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// firewallName is the firewall's and the account key's.
func (p *Provider) firewallName() string { return "fleetctl-" + p.spec.Name }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
