package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/probe"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// coldView is what `fleetctl verify --cold-start` found.
type coldView struct {
	Start     string    `json:"start"`    // all that the client knew
	Resolver  string    `json:"resolver"` // "" for that of this computer
	Addresses int       `json:"addresses"`
	Relays    int       `json:"relays"`
	Resolved  *float64  `json:"resolved_ms"`
	Connected *float64  `json:"connected_ms"`
	Reserved  *float64  `json:"reserved_ms"`
	Node      string    `json:"node"`
	PeerID    string    `json:"peer_id"`
	Address   string    `json:"address"`
	Agent     string    `json:"agent"`
	Tier      string    `json:"tier"`
	Tried     []coldTry `json:"tried"`
	Error     string    `json:"error"`
	OK        bool      `json:"ok"`
}

// coldTry is a relay that could not be used.
type coldTry struct {
	Node   string `json:"node"`
	PeerID string `json:"peer_id"`
	Step   string `json:"step"`
	Error  string `json:"error"`
}

// runColdStart starts as an application does and shows how far it came.
func (a *app) runColdStart(ctx context.Context, resolvers []string) (err error) {
	if len(resolvers) > 1 {
		return errors.New("verify: --cold-start asks one --resolver, as an application does")
	}
	s, err := a.read("verify", "--cold-start")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	done := a.busy("starting from /dnsaddr/" + s.spec.DNS.Domain)
	v, err := s.coldStart(ctx, probe.New(probe.Config{Version: thisVersion().Version}), strings.Join(resolvers, ""))
	done()
	if err != nil {
		return err
	}
	return errors.Join(a.show(v), v.verdict())
}

// coldStart resolves by the named server, else by the first that [session.coldResolver]
// knows, else by the computer's own resolver.
func (s *session) coldStart(ctx context.Context, p *probe.Prober, resolver string) (coldView, error) {
	v := coldView{Start: "/dnsaddr/" + s.spec.DNS.Domain, Tried: []coldTry{}}
	if resolver == "" {
		resolver = s.coldResolver(ctx)
	}
	if resolver != "" {
		server, err := resolve.ParseServer(resolver)
		if err == nil && server.Transport != resolve.Plain {
			err = fmt.Errorf("%w: %q: a cold start asks by UDP and TCP", resolve.ErrBadServer, resolver)
		}
		if err != nil {
			return v, fleet.WithHint(err, "write it as 192.0.2.1 or 192.0.2.1:5353")
		}
		v.Resolver = server.Addr
	}
	got, err := p.ColdStart(ctx, s.spec.DNS.Domain, v.Resolver)
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	v.take(got, err)
	v.name(s.nodesByPeer(ctx))
	return v, nil
}

// coldResolver is the server that knows the fleet where this computer's own might not: the
// first of dns.resolvers that is asked by UDP and TCP, else the zone's own server if the
// internet does not read the zone. It is "" where there is neither.
func (s *session) coldResolver(ctx context.Context) string {
	for _, named := range s.spec.DNS.Resolvers {
		if server, err := resolve.ParseServer(named); err == nil && server.Transport == resolve.Plain {
			return named
		}
	}
	if !s.public() {
		if own := s.ownServers(ctx); len(own) > 0 {
			return own[0]
		}
	}
	return ""
}

// take turns what the probe found into what is shown.
func (v *coldView) take(got probe.Cold, err error) {
	v.Addresses, v.Relays, v.PeerID, v.Address = got.Addresses, len(got.Relays), got.PeerID, got.Address
	v.Agent, v.Tier, v.OK = got.Agent, got.Tier(), err == nil
	v.Resolved, v.Connected, v.Reserved = reached(got.Resolved), reached(got.Connected), reached(got.Reserved)
	for _, t := range got.Tried {
		v.Tried = append(v.Tried, coldTry{PeerID: t.PeerID, Step: t.Step, Error: t.Err})
	}
	if err != nil {
		v.Error = err.Error()
	}
}

// reached is a time in milliseconds, nil for what was not reached.
func reached(after time.Duration) *float64 {
	if after == 0 {
		return nil
	}
	ms := milliseconds(after)
	return &ms
}

// name says which nodes the relays are.
func (v *coldView) name(nodes map[string]string) {
	v.Node = nodes[v.PeerID]
	for i := range v.Tried {
		v.Tried[i].Node = nodes[v.Tried[i].PeerID]
	}
}

// nodesByPeer reads from the zone's comments which node a peer is: none, if it cannot be
// read, which a client could not either.
func (s *session) nodesByPeer(ctx context.Context) map[string]string {
	records, err := s.b.Zone.Records(ctx, s.spec.DNS.RecordName())
	if err != nil {
		return nil
	}
	nodes := make(map[string]string)
	for _, rec := range records {
		o, ok := rec.Owner()
		if addr, err := dnsaddr.ParseValue(rec.Value); err == nil && ok && o.Fleet == s.spec.Name {
			nodes[addr.PeerID()] = o.Relay
		}
	}
	return nodes
}

// verdict is the error of a start that led to no reservation: exit 4.
func (v coldView) verdict() error {
	if v.OK {
		return nil
	}
	return withCode(exitUnverified, fleet.WithHint(errors.New(v.Error), "see with 'fleetctl dnsaddr verify' which server or relay it is, or ask the resolver that your clients ask with --resolver"))
}

func (v coldView) Table() render.Table {
	elapsed := func(ms *float64) any {
		if ms == nil {
			return nil
		}
		return time.Duration(*ms * float64(time.Millisecond))
	}
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	resolver := v.Resolver
	if resolver == "" {
		resolver = "of this computer"
	}
	t := render.Table{
		Facts: []render.Fact{
			{Name: "start", Value: v.Start}, {Name: "resolver", Value: resolver},
			{Name: "addresses", Value: v.Addresses}, {Name: "relays", Value: v.Relays},
			{Name: "resolved after", Value: elapsed(v.Resolved)}, {Name: "first connection after", Value: elapsed(v.Connected)},
			{Name: "reservation after", Value: elapsed(v.Reserved)},
			{Name: "node", Value: text(v.Node)}, {Name: "peer id", Value: render.PeerID(v.PeerID)}, {Name: "address", Value: text(v.Address)},
			{Name: "agent", Value: text(v.Agent)}, {Name: "tier", Value: text(v.Tier)},
		},
	}
	if len(v.Tried) == 0 {
		return t
	}
	t.Title = "Relays that could not be used"
	t.Columns = []render.Column{{Name: "node"}, {Name: "peer id"}, {Name: "step"}, {Name: "error"}}
	for _, try := range v.Tried {
		t.Rows = append(t.Rows, []any{text(try.Node), render.PeerID(try.PeerID), try.Step, try.Error})
	}
	return t
}
