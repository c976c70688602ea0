package cloudflare

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

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/credential"
)

// Config is what a zone works with.
type Config struct {
	// Domain is the fleet's: its records stand at _dnsaddr.<Domain> and
	// _dnsaddr.<label>.<Domain>.
	Domain string
	// ZoneID is the zone that holds Domain, 32 hex digits. "" looks it up by name, which
	// takes a request for each label tried and the permission Zone.Zone:Read.
	ZoneID string
	// Token opens the account. It is read when the first request is made.
	Token credential.Source
	// BaseURL is where the API is; "" is Cloudflare. Only loopback may be without TLS.
	BaseURL string
	// Log gets what is waited for, and below debug every request without its headers. Nil
	// discards it.
	Log *slog.Logger
	// Transport carries the requests; nil is a transport with usual timeouts.
	Transport http.RoundTripper
	// Resolve asks the zone's own name servers, before anything is deleted, whether they
	// answer with what was added. Nil asks none: then only the API is read back.
	Resolve Resolve
	// Waits are how long what takes; zero fields are the usual times.
	Waits Waits
}

// Waits are intervals and deadlines. Tests shorten them.
type Waits struct {
	Every   time.Duration // between two requests, after the first 40; 250 ms
	Call    time.Duration // for the answer to one request; 30 s
	Backoff time.Duration // the first pause after a read that failed; 500 ms
	Hold    time.Duration // the longest that a used-up rate is waited for; 1 min
	Settle  time.Duration // before the zone is listed after a write without an answer; 2 s
	Look    time.Duration // between two questions to a name server; 1 s
	Spread  time.Duration // until the name servers answer with what was added; 1 min
}

func (w Waits) withDefaults() Waits {
	for _, d := range []struct {
		wait  *time.Duration
		usual time.Duration
	}{
		{&w.Every, 250 * time.Millisecond}, {&w.Call, 30 * time.Second}, {&w.Backoff, 500 * time.Millisecond},
		{&w.Hold, time.Minute}, {&w.Settle, 2 * time.Second}, {&w.Look, time.Second}, {&w.Spread, time.Minute},
	} {
		if *d.wait == 0 {
			*d.wait = d.usual
		}
	}
	return w
}

// Limits of every plan. Enterprise zones go down to 30 s, which is not used.
const (
	minTTL = 60 * time.Second
	maxTTL = 86400 * time.Second
)

// mostOps is how many operations a batch may have on every plan.
const mostOps = 200

// perPage is how many records are asked for at once.
const perPage = 5000

// Zone is the part of a zone at Cloudflare that belongs to one domain. It is safe for
// concurrent use; its Applies do not interleave. Several of them, in several processes,
// may write to one zone.
type Zone struct {
	domain  string
	zoneID  string // given, "" if it is looked up
	api     *client
	log     *slog.Logger
	resolve Resolve
	settle  time.Duration
	look    time.Duration
	spread  time.Duration
	perPage int

	applying chan struct{} // held during an Apply

	mu   sync.Mutex
	home *home    // once it was found
	last *listing // since the last write
}

var (
	_ dnsaddr.Zone    = (*Zone)(nil)
	_ dnsaddr.Closing = (*Zone)(nil)
)

// Calls is how many requests were sent to the API so far, those sent again included.
func (z *Zone) Calls() int { return int(z.api.trans.Sent()) }

// New returns the zone of a domain. Nothing is read, not even the token, before it is used.
func New(cfg Config) (*Zone, error) {
	if cfg.Token == nil {
		return nil, errors.New("zone cloudflare: a token is needed")
	}
	if err := dnsaddr.CheckName(cfg.Domain); err != nil {
		return nil, fmt.Errorf("zone cloudflare: %w", err)
	}
	if cfg.ZoneID != "" && !isID(cfg.ZoneID) {
		return nil, fmt.Errorf("zone cloudflare: %w", fleet.WithHint(
			fmt.Errorf("zone_id %q is not 32 hex digits", clean(cfg.ZoneID)), zoneIDHint))
	}
	base, err := baseURL(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("zone cloudflare: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Waits = cfg.Waits.withDefaults()
	return &Zone{
		domain: strings.ToLower(cfg.Domain), zoneID: strings.ToLower(cfg.ZoneID), api: newClient(cfg, base), log: cfg.Log,
		resolve: cfg.Resolve, settle: cfg.Waits.Settle, look: cfg.Waits.Look, spread: cfg.Waits.Spread, perPage: perPage, applying: make(chan struct{}, 1),
	}, nil
}

// Limits implements [dnsaddr.Zone].
func (z *Zone) Limits() dnsaddr.Limits { return dnsaddr.Limits{MinTTL: minTTL, MaxTTL: maxTTL} }

// Records implements [dnsaddr.Zone], in one list of all names. That there are none is an
// error in a zone that does not hold them, and so is an alias at the entry name. A text that is in no known
// form is returned as it stands: it is nobody's of ours. The TTL of a record that leaves
// it to Cloudflare is one second.
func (z *Zone) Records(ctx context.Context, entry string) ([]dnsaddr.Record, error) {
	have, err := z.records(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("%s: list records: %w", entry, err)
	}
	out := make([]dnsaddr.Record, len(have))
	for i, r := range have {
		out[i] = r.Record
	}
	return out, nil
}

func (z *Zone) records(ctx context.Context, entry string) ([]stored, error) {
	if err := checkEntry(entry); err != nil {
		return nil, err
	}
	id, err := z.id(ctx)
	if err != nil {
		return nil, err
	}
	l, err := z.list(ctx, id, entry)
	if err != nil {
		return nil, err
	}
	if err := l.closed[l.entry]; err != nil {
		return nil, err
	}
	if len(l.have) > 0 || z.zoneID == "" {
		return l.have, nil
	}
	// Of a zone that was given nobody has seen yet that it is the one whose names these are.
	if _, _, err := z.holding(ctx, entry); err != nil {
		return nil, err
	}
	return l.have, nil
}

// Closed implements [dnsaddr.Closing]. Right after Records it makes no request.
func (z *Zone) Closed(ctx context.Context, entry string, names []string) (map[string]error, error) {
	l, known := z.lately(strings.ToLower(entry), dnsaddr.Changes{})
	if !known {
		id, err := z.id(ctx)
		if err == nil {
			l, err = z.list(ctx, id, strings.ToLower(entry))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: list records: %w", entry, err)
		}
	}
	out := make(map[string]error)
	for _, name := range names {
		if err := l.closed[strings.ToLower(name)]; err != nil {
			out[name] = err
		}
	}
	return out, nil
}

// checkEntry wants the entry name of a domain.
func checkEntry(entry string) error {
	domain, ok := strings.CutPrefix(strings.ToLower(entry), dnsaddr.Name(""))
	if !ok {
		return fmt.Errorf("%q is not the entry name of a domain", entry)
	}
	return dnsaddr.CheckName(domain)
}

// isID reports whether text is an identifier as the API gives them. It stands in paths.
func isID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}

// baseURL reads where the API is.
func baseURL(text string) (*url.URL, error) {
	if text == "" {
		text = "https://api.cloudflare.com/client/v4/"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the API's address is not a URL")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the API's address %q: want a scheme, a host and a path alone", u.Redacted())
	case u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()):
		u.Path = strings.TrimSuffix(u.Path, "/") + "/"
		return u, nil
	}
	return nil, fleet.WithHint(fmt.Errorf("the API's address %q: the token would be sent without TLS", u.Redacted()),
		"use https; plain http is for loopback only")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

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
