package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
)

// Bounds of a cold start.
const (
	coldTimeout  = 30 * time.Second // of all of it, unless ctx ends before
	coldParallel = 16               // relays that are dialed at once
	coldDepth    = 4                // those of go-libp2p: names one after the other,
	coldOutput   = 100              // and addresses
)

// Cold is how an application came to a reservation that knew a domain and nothing else.
// Times are since its start, 0 for what was not reached.
type Cold struct {
	Addresses int      // that were resolved
	Relays    []string // their peer IDs, sorted
	Resolved  time.Duration
	Connected time.Duration // to the first relay that answered, whatever it said afterwards
	Reserved  time.Duration

	PeerID  string // of the relay that reserved a slot, "" if none did
	Address string // that it was reached at, without the peer ID
	Agent   string // what it calls itself, at most 200 characters of one line
	Tried   []Try  // relays that did not get us there, in the order in which that was known
}

// Try is a relay that could not be used.
type Try struct {
	PeerID string
	Step   string // dial or reserve
	Err    string
}

// Tier is the third field of the relay's agent string, "" if it has none.
func (c Cold) Tier() string {
	if fields := strings.Split(c.Agent, "/"); len(fields) > 2 {
		return fields[2]
	}
	return ""
}

// ColdStart does what an application of go-libp2p does that is given /dnsaddr/<domain>:
// it resolves the name by the DNS server at host:port, or with "" by the resolver of this
// computer; dials all relays that it finds, over TCP, QUIC and WebSocket; and reserves a
// slot at whichever answers first, else at the next. An error names the step that ended
// it, with what is known so far.
func (p *Prober) ColdStart(ctx context.Context, domain, server string) (Cold, error) {
	ctx, cancel := context.WithTimeout(ctx, coldTimeout)
	defer cancel()
	c := &coldStart{began: time.Now(), got: Cold{Relays: []string{}, Tried: []Try{}}}
	err := c.run(ctx, p.agent, domain, server)
	if err != nil {
		err = fmt.Errorf("cold start from /dnsaddr/%s: %w", domain, err)
	}
	return c.got, err
}

type coldStart struct {
	began time.Time
	host  host.Host
	got   Cold
}

func (c *coldStart) run(ctx context.Context, agent, domain, server string) error {
	resolver, err := newResolver(server)
	if err != nil {
		return err
	}
	from, err := ma.NewMultiaddr("/dnsaddr/" + domain)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	found, err := resolver.ResolveDNSAddr(ctx, "", from, coldDepth, coldOutput)
	if err != nil {
		return fmt.Errorf("resolve: %w", askedAt(server, err))
	}
	c.got.Resolved, c.got.Addresses = time.Since(c.began), len(found)
	relays := relaysOf(found)
	for _, r := range relays {
		c.got.Relays = append(c.got.Relays, r.ID.String())
	}
	slices.Sort(c.got.Relays)
	if len(relays) == 0 {
		return errors.New("resolve: no relay stands at the name")
	}
	c.host, err = newApplication(agent, resolver)
	if err != nil {
		return err
	}
	defer func() { _ = c.host.Close() }() // the reservation goes with it
	return c.connect(ctx, relays)
}

// newResolver is go-libp2p's own, on the given server.
func newResolver(server string) (swarm.ResolverFromMaDNS, error) {
	system := &net.Resolver{PreferGo: true}
	if server == "" {
		system = net.DefaultResolver
	} else {
		system.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}
	}
	r, err := madns.NewResolver(madns.WithDefaultResolver(system))
	return swarm.ResolverFromMaDNS{Resolver: r}, err
}

// askedAt corrects the server that a lookup's error names: the resolver of the standard
// library names that of this computer, whoever it asked.
func askedAt(server string, err error) error {
	var lookup *net.DNSError
	if server == "" || !errors.As(err, &lookup) {
		return err
	}
	corrected := *lookup
	corrected.Server = server
	return &corrected
}

// newApplication is a host as an application makes it, that listens nowhere.
func newApplication(agent string, resolver swarm.ResolverFromMaDNS) (host.Host, error) {
	h, err := libp2p.New(
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(quic.NewTransport), libp2p.Transport(websocket.New),
		libp2p.NoListenAddrs,
		libp2p.EnableRelay(),
		libp2p.UserAgent(agent),
		libp2p.DisableMetrics(),
		libp2p.MultiaddrResolver(resolver),
	)
	if err != nil {
		return nil, fmt.Errorf("make a libp2p host: %w", err)
	}
	return h, nil
}

// relaysOf groups addresses by their peers. What names none cannot be used.
func relaysOf(found []ma.Multiaddr) []peer.AddrInfo {
	var all []peer.AddrInfo
	for _, addr := range found {
		info, err := peer.AddrInfoFromP2pAddr(addr)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(all, func(a peer.AddrInfo) bool { return a.ID == info.ID })
		if i < 0 {
			all = append(all, *info)
			continue
		}
		all[i].Addrs = append(all[i].Addrs, info.Addrs...)
	}
	return all
}

// answer is how the dial of one relay ended.
type answer struct {
	relay peer.AddrInfo
	err   error
}

// connect dials all relays and reserves at the first that lets it.
func (c *coldStart) connect(ctx context.Context, relays []peer.AddrInfo) error {
	dials, cancel := context.WithCancel(ctx)
	answers := make(chan answer, len(relays))
	var all sync.WaitGroup
	defer func() {
		cancel()
		all.Wait()
	}()
	turns := make(chan struct{}, coldParallel)
	for _, r := range relays {
		all.Go(func() {
			if err := wait(dials, turns); err != nil {
				answers <- answer{r, err}
				return
			}
			defer func() { <-turns }()
			answers <- answer{r, c.host.Connect(dials, r)}
		})
	}
	for range relays {
		var a answer
		select {
		case a = <-answers:
		case <-ctx.Done():
			return fmt.Errorf("connect: %w", ctx.Err())
		}
		if a.err != nil {
			c.tried(a.relay.ID, "dial", a.err)
			continue
		}
		if c.got.Connected == 0 {
			c.got.Connected = time.Since(c.began)
		}
		if err := c.reserve(ctx, a.relay.ID); err != nil {
			c.tried(a.relay.ID, "reserve", err)
			continue
		}
		return nil
	}
	if c.got.Connected == 0 {
		return errors.New("connect: no relay answers")
	}
	return errors.New("reserve: no relay that answers has a slot")
}

func (c *coldStart) tried(id peer.ID, step string, err error) {
	c.got.Tried = append(c.got.Tried, Try{PeerID: id.String(), Step: step, Err: oneLine(dialError(err).Error())})
}

// reserve asks a relay that is connected for a slot.
func (c *coldStart) reserve(ctx context.Context, id peer.ID) error {
	stop := hangUp(ctx, c.host, id)
	defer stop()
	_, err := client.Reserve(ctx, c.host, peer.AddrInfo{ID: id})
	var refused client.ReservationError
	if errors.As(err, &refused) {
		err = refusedError{refused}
	}
	if err != nil {
		return inTime(ctx, err)
	}
	c.got.Reserved, c.got.PeerID = time.Since(c.began), id.String()
	if conns := c.host.Network().ConnsToPeer(id); len(conns) > 0 {
		c.got.Address = conns[0].RemoteMultiaddr().String()
	}
	if name, err := c.host.Peerstore().Get(id, "AgentVersion"); err == nil {
		c.got.Agent = oneLine(fmt.Sprintf("%.200s", name))
	}
	return nil
}
