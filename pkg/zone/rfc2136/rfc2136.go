package rfc2136

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/credential"
)

// Limits of the zone.
const (
	minTTL = time.Minute
	maxTTL = 24 * time.Hour
)

// DefaultAlgorithm signs where the configuration names none.
const DefaultAlgorithm = "hmac-sha256"

// Config says where the zone is and how messages to it are signed.
type Config struct {
	// Domain of the fleet, without a final dot.
	Domain string
	// Zone that holds the domain; "" is found by asking the server.
	Zone string
	// Server is the zone's primary, host:port.
	Server string
	// KeyName is the name of the TSIG key, as the server's configuration has it.
	KeyName string
	// KeyAlgorithm is one of [Algorithms]; "" is [DefaultAlgorithm].
	KeyAlgorithm string
	// Secret of the key, in base64. It is read at the first message.
	Secret credential.Source
	// Log gets what is done, without secrets. Nil discards it.
	Log *slog.Logger
	// Waits are how long what takes; zero fields are the usual times.
	Waits Waits
}

// Waits are deadlines. Tests shorten them.
type Waits struct {
	Message  time.Duration // for the answer to one message by TCP; 10 s
	Packet   time.Duration // for the answer to one packet by UDP, of three; 2 s
	Transfer time.Duration // for a whole transfer; 1 min
	Visible  time.Duration // until the server answers with what it took; 10 s
}

func (w Waits) withDefaults() Waits {
	for _, d := range []struct {
		wait  *time.Duration
		usual time.Duration
	}{{&w.Message, 10 * time.Second}, {&w.Packet, 2 * time.Second}, {&w.Transfer, time.Minute}, {&w.Visible, 10 * time.Second}} {
		if *d.wait == 0 {
			*d.wait = d.usual
		}
	}
	return w
}

// Algorithms lists what may sign messages, the default first. MD5 and SHA-1 may not.
func Algorithms() []string {
	return []string{DefaultAlgorithm, "hmac-sha224", "hmac-sha384", "hmac-sha512"}
}

// Zone is the records of a domain at a primary. It is safe for concurrent use, and so are
// several of them, in any number of processes.
type Zone struct {
	cfg     Config
	log     *slog.Logger
	writing chan struct{} // held during an Apply

	keyName, algorithm string // canonical

	mu  sync.Mutex
	key *key   // nil until it was read
	top string // the zone's name, "" until it is known
	got view   // what Records read last

	untransferable atomic.Bool // the server refused a transfer
}

var (
	_ dnsaddr.Zone    = (*Zone)(nil)
	_ dnsaddr.Closing = (*Zone)(nil)
)

// New returns the zone. It asks nobody anything, and does not read the secret.
func New(cfg Config) (*Zone, error) {
	if err := dnsaddr.CheckName(cfg.Domain); err != nil {
		return nil, fmt.Errorf("zone rfc2136: domain: %w", err)
	}
	if cfg.Zone != "" && !dns.IsSubDomain(dns.Fqdn(cfg.Zone), dns.Fqdn(cfg.Domain)) {
		return nil, fmt.Errorf("zone rfc2136: the domain %s is not in the zone %s", cfg.Domain, cfg.Zone)
	}
	if host, port, err := net.SplitHostPort(cfg.Server); err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("zone rfc2136: server %q: want host:port", cfg.Server)
	}
	if _, ok := dns.IsDomainName(cfg.KeyName); !ok || cfg.KeyName == "" || cfg.Secret == nil {
		return nil, fmt.Errorf("zone rfc2136: the name of a TSIG key and its secret are needed")
	}
	algorithm := strings.TrimSuffix(strings.ToLower(cfg.KeyAlgorithm), ".")
	if algorithm == "" {
		algorithm = DefaultAlgorithm
	}
	if !slices.Contains(Algorithms(), algorithm) {
		return nil, fmt.Errorf("zone rfc2136: key algorithm %q: accepted are %s", cfg.KeyAlgorithm, strings.Join(Algorithms(), ", "))
	}
	cfg.Waits = cfg.Waits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Zone{
		cfg: cfg, log: cfg.Log, writing: make(chan struct{}, 1),
		keyName: dns.CanonicalName(cfg.KeyName), algorithm: dns.Fqdn(algorithm), top: strings.TrimSuffix(strings.ToLower(cfg.Zone), "."),
	}, nil
}

// Limits implements [dnsaddr.Zone]: one minute to one day, and one TTL for each name.
func (z *Zone) Limits() dnsaddr.Limits {
	return dnsaddr.Limits{MinTTL: minTTL, MaxTTL: maxTTL, OneTTL: true}
}

// Status implements [dnsaddr.Zone]. It asks the primary for the zone's SOA record.
func (z *Zone) Status(ctx context.Context) dnsaddr.Status {
	s := dnsaddr.Status{Kind: "rfc2136", Server: z.cfg.Server}
	if err := z.checkServed(ctx); err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Serving = true
	return s
}

// Records implements [dnsaddr.Zone]. A name that is an alias, or that is delegated to
// other servers, is an error: it cannot be written.
func (z *Zone) Records(ctx context.Context, entry string) ([]dnsaddr.Record, error) {
	entry = strings.ToLower(entry)
	v, err := z.read(ctx, entry, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: list records: %w", entry, err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.got = v
	return v.records(), nil
}

// Closed implements [dnsaddr.Closing]: at an alias and at a name that is delegated to
// other servers, and where the name of its companion is one or the other. What a transfer did
// not bring is not there; otherwise the names that Records did not ask for are asked for.
func (z *Zone) Closed(ctx context.Context, entry string, names []string) (map[string]error, error) {
	entry = strings.ToLower(entry)
	z.mu.Lock()
	v := z.got
	z.mu.Unlock()
	asked := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, known := v.places[name]; return known })
	if v.entry != entry || z.untransferable.Load() && len(asked) > 0 {
		var err error
		if v, err = z.look(ctx, entry, names); err != nil {
			return nil, fmt.Errorf("%s: look for aliases and delegations: %w", entry, err)
		}
	}
	out := make(map[string]error)
	for _, name := range names {
		if err := v.places[strings.ToLower(name)].closed(); err != nil {
			out[name] = err
		}
	}
	return out, nil
}

// checkEntry wants the name of a fleet in this zone.
func (z *Zone) checkEntry(entry string) error {
	domain, ok := strings.CutPrefix(entry, dnsaddr.Name(""))
	if !ok {
		return fmt.Errorf("%q is not the name of a fleet", entry)
	}
	if err := dnsaddr.CheckName(domain); err != nil {
		return err
	}
	if zone := z.cfg.Zone; zone != "" && !dns.IsSubDomain(dns.Fqdn(zone), dns.Fqdn(domain)) {
		return fmt.Errorf("%q is not in the zone %s", entry, zone)
	}
	return nil
}
