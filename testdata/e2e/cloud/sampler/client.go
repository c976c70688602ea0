package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/pkg/resolve"
)

// client is one user, reachable through relays, and a friend who calls it.
type client struct {
	options
	near host.Host // holds the reservations
	far  host.Host // opens the circuit
	line line
	questions

	mu        sync.Mutex
	published map[peer.ID][]ma.Multiaddr // newest answer of the zone
	held      map[peer.ID]bool           // reservations, until the connection ends
	made      int
}

func newClient(o options) (*client, error) {
	c := &client{options: o, held: make(map[peer.ID]bool)}
	var err error
	if c.near, err = newHost("near"); err != nil {
		return nil, err
	}
	if c.far, err = newHost("far"); err != nil {
		return nil, errors.Join(err, c.near.Close())
	}
	// A reservation lives as long as its connection.
	c.near.Network().Notify(&network.NotifyBundle{DisconnectedF: func(n network.Network, gone network.Conn) {
		if n.Connectedness(gone.RemotePeer()) != network.Connected {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.held, gone.RemotePeer())
		}
	}})
	c.near.SetStreamHandler(echoProtocol, echo)
	return c, nil
}

func newHost(name string) (host.Host, error) {
	return libp2p.New(libp2p.NoListenAddrs, libp2p.EnableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.UserAgent("e2e-"+name+"/1/edge"))
}

func (c *client) close() {
	c.line.hangUp()
	_ = c.far.Close() // nothing is left to be lost
	_ = c.near.Close()
}

// begin reserves at every published relay and opens the circuit: a client that starts
// with less would prove less.
func (c *client) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := c.resolve(ctx); err != nil {
		return err
	}
	relays := c.relays()
	for id := range relays {
		if err := c.reserve(ctx, id); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	if _, is := relays[c.through]; !is {
		return fmt.Errorf("%s is not published", c.through)
	}
	return c.line.open(ctx, c.far, c.near.ID(), c.through, relays[c.through])
}

// resolve reads the zone.
func (c *client) resolve(ctx context.Context) error {
	values, _, err := resolve.Values(ctx, c.server, c.name)
	if err != nil {
		return err
	}
	published := make(map[peer.ID][]ma.Multiaddr)
	for _, value := range values {
		at, err := peer.AddrInfoFromString(value[len("dnsaddr="):])
		if err != nil {
			return fmt.Errorf("record %q: %w", value, err)
		}
		published[at.ID] = append(published[at.ID], at.Addrs...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published = published
	return nil
}

// relays are those of the newest answer. The map is not written to.
func (c *client) relays() map[peer.ID][]ma.Multiaddr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.published
}

// reserve connects to a relay and takes a slot there.
func (c *client) reserve(ctx context.Context, id peer.ID) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at := peer.AddrInfo{ID: id, Addrs: c.relays()[id]}
	if err := connect(ctx, c.near, at); err != nil {
		return err
	}
	if _, err := circuit.Reserve(ctx, c.near, at); err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[id] = c.near.Network().Connectedness(id) == network.Connected
	c.made++
	return nil
}

// connect dials, also where a dial failed a moment ago.
func connect(ctx context.Context, h host.Host, at peer.AddrInfo) error {
	if s, is := h.Network().(*swarm.Swarm); is {
		s.Backoff().Clear(at.ID)
	}
	return h.Connect(ctx, at)
}

// keep takes a slot at each relay that is published and has none of ours, and opens the
// circuit again when it is gone, until ctx ends.
func (c *client) keep(ctx context.Context) {
	every(ctx, redial, func() {
		relays := c.relays()
		for id := range relays {
			if !c.holds(id) {
				_ = c.reserve(ctx, id) // it is asked again; what is held is counted
			}
		}
		for id, addrs := range relays {
			if c.line.works() || c.line.open(ctx, c.far, c.near.ID(), id, addrs) == nil {
				break
			}
		}
	})
}

func (c *client) holds(id peer.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[id]
}

// sample reads the zone and asks every published relay at once. Where the zone does not
// answer, the client has the records that it knew.
func (c *client) sample(ctx context.Context) sample {
	s := sample{at: time.Now(), held: c.holding()}
	resolving, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.resolve(resolving); err != nil {
		s.why = append(s.why, err)
	}
	relays := c.relays()
	var asked []*question
	for id, addrs := range relays {
		asked = append(asked, c.ask(ctx, c.near, peer.AddrInfo{ID: id, Addrs: addrs}))
	}
	for _, q := range asked {
		if err := q.answer(); err != nil {
			s.why = append(s.why, err)
		} else {
			s.answering++
		}
	}
	s.cut = ctx.Err() != nil
	return s
}

// holding counts the reservations.
func (c *client) holding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, held := range c.held {
		if held {
			n++
		}
	}
	return n
}

func (c *client) counts() (reservations, circuits int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made, c.line.count()
}
