package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

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

// coldStart resolves by the named server, else by the first of [session.coldResolvers] that
// answers, else by the computer's own resolver.
func (s *session) coldStart(ctx context.Context, p *probe.Prober, resolver string) (coldView, error) {
	v := coldView{Start: "/dnsaddr/" + s.spec.DNS.Domain, Tried: []coldTry{}}
	ask := []string{resolver}
	if resolver == "" {
		ask = s.coldResolvers(ctx)
	}
	var got probe.Cold
	var problem error
	for _, named := range ask {
		addr, err := plainServer(named)
		if err != nil {
			return v, err
		}
		v.Resolver = addr
		if got, problem = p.ColdStart(ctx, s.spec.DNS.Domain, addr); !saidNothing(got, problem) || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	v.take(got, problem)
	v.name(s.nodesByPeer(ctx))
	return v, nil
}

// saidNothing reports whether a start ended at a server that did not answer: a client goes
// on to its next one then.
func saidNothing(got probe.Cold, err error) bool {
	var answer *net.DNSError
	return err != nil && got.Resolved == 0 && !(errors.As(err, &answer) && answer.IsNotFound)
}

// plainServer is the address of a server that is asked by UDP and TCP, "" for the computer's
// own resolver.
func plainServer(named string) (string, error) {
	if named == "" {
		return "", nil
	}
	server, err := resolve.ParseServer(named)
	if err == nil && server.Transport != resolve.Plain {
		err = fmt.Errorf("%w: %q: a cold start asks by UDP and TCP", resolve.ErrBadServer, named)
	}
	return server.Addr, fleet.WithHint(err, "write it as 192.0.2.1 or 192.0.2.1:5353")
}

// coldResolvers are the servers that know the fleet where this computer's own might not:
// those of dns.resolvers that are asked by UDP and TCP, else the zone's own servers if the
// internet does not read the zone. Where there is neither, it is the computer's own: "".
func (s *session) coldResolvers(ctx context.Context) []string {
	plain := slices.DeleteFunc(slices.Clone(s.spec.DNS.Resolvers), func(named string) bool {
		_, err := plainServer(named)
		return err != nil
	})
	if len(plain) == 0 && !s.public() {
		plain = s.ownServers(ctx)
	}
	if len(plain) == 0 {
		return []string{""}
	}
	return plain
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
		node, ok := rec.OwnedBy(s.spec.Name)
		if addr, err := rec.Addr(); err == nil && ok {
			nodes[addr.PeerID()] = node
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
