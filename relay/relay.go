package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

// Relay is one relay: its state directory is locked from New until Run returns.
type Relay struct {
	cfg   Config
	log   *slog.Logger
	id    Identity
	lock  *flock.Flock
	token string

	wished   *listeners
	ledger   *ledger
	archive  *archive
	fleet    *fleetPeers
	registry *prometheus.Registry
	tracer   *tracer
	self     release
	started  time.Time

	reachability atomic.Int32 // network.Reachability
	stopping     atomic.Bool
	hurry        chan struct{} // closed by Hurry
	hurryOnce    sync.Once
	up           chan struct{} // closed when Run has tried every listener and the API answers

	mu      sync.Mutex
	host    host.Host // nil until Run has built it
	hop     *hopHost
	dht     *dht.IpfsDHT
	apiAddr net.Addr
}

// New takes the state directory for this process: it locks it, loads the identity or
// creates the first one, and reads the census. Whoever does not call Run calls Close.
// A nil log discards.
func New(cfg Config, log *slog.Logger) (*Relay, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	token, err := cfg.token()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	wished, err := newListeners(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("config: listen: %w", err)
	}
	if err := stateDir(cfg.State); err != nil {
		return nil, err
	}
	lock, err := lockState(cfg.State)
	if err != nil {
		return nil, err
	}
	id, err := CreateIdentity(cfg.State)
	if err == nil {
		_, err = cfg.announced(id.ID)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	now := time.Now()
	r := &Relay{
		cfg: cfg, log: log, id: id, lock: lock, token: token, wished: wished,
		ledger: newLedger(cfg, now), started: now, registry: prometheus.NewRegistry(),
		self: newRelease(cfg), hurry: make(chan struct{}), up: make(chan struct{}),
	}
	r.tracer = &tracer{MetricsTracer: circuit.NewMetricsTracer(circuit.WithRegisterer(r.registry))}
	r.archive = newArchive(cfg.State, r.ledger, log)
	r.fleet = newFleetPeers(cfg.State, id.ID, r.ledger, log)
	r.archive.load(now)
	r.fleet.reread()
	r.registerSeries()
	return r, nil
}

// Close lets go of the state directory. Run does it, too.
func (r *Relay) Close() error { return r.lock.Close() }

// ID is the peer ID of this relay.
func (r *Relay) ID() peer.ID { return r.id.ID }

// Started is closed once every listener was tried and the HTTP API answers.
func (r *Relay) Started() <-chan struct{} { return r.up }

// Hurry ends the grace for open circuits at once. It may be called at any time, more
// than once and from any goroutine.
func (r *Relay) Hurry() { r.hurryOnce.Do(func() { close(r.hurry) }) }

// Addrs are the addresses that peers are told, with /p2p/. Empty before Started.
func (r *Relay) Addrs() []ma.Multiaddr {
	h, _ := r.hosted()
	if h == nil {
		return nil
	}
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	if err != nil {
		return nil
	}
	return addrs
}

// APIAddr is where the HTTP API answers; nil before Started.
func (r *Relay) APIAddr() net.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apiAddr
}

func (r *Relay) hosted() (host.Host, *hopHost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.host, r.hop
}

// Run serves until ctx ends, then drains: no new reservation, open circuits get the
// configured grace, the census is written, and Run returns nil. It may be called once.
func (r *Relay) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	r.log.Info("Local peer ID: " + r.id.ID.String())

	stack, err := r.start()
	if err != nil {
		return err
	}
	// The work of a relay that drains goes on until the grace is over, so it does not
	// end with ctx.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	var workers sync.WaitGroup
	workers.Go(func() { r.account(stack.host, stack.events.Out()) })
	workers.Go(func() { r.watch(work, stack) })
	workers.Go(func() { r.dialFleet(work, stack.host) })
	workers.Go(func() { r.writeCensus(work) })
	workers.Go(func() { r.countMinutes(work) })
	workers.Go(func() { r.notify(work) })
	api := r.serveAPI(stack.api)
	stack.api = nil // the server's from here
	close(r.up)

	<-ctx.Done()
	r.drain(stack)
	endWork()
	err = errors.Join(stack.close(), api.stop())
	workers.Wait()
	now := time.Now()
	r.ledger.close(now)
	return errors.Join(err, r.archive.flush(now))
}

// stack is what Run starts and stops.
type stack struct {
	host    host.Host
	hop     *hopHost
	service *circuit.Relay
	dht     *dht.IpfsDHT
	events  event.Subscription
	api     net.Listener
}

// start brings everything up in an order in which nothing is announced before it works.
func (r *Relay) start() (s *stack, err error) {
	s = &stack{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.api, err = net.Listen("tcp", r.cfg.API); err != nil {
		return nil, hint(fmt.Errorf("api: %w", err), "stop what listens there or choose another api: address")
	}
	if s.host, err = newHost(r.cfg, r.id, r.wished, r.registry); err != nil {
		return nil, err
	}
	if s.events, err = follow(s.host); err != nil {
		return nil, err
	}
	s.hop = r.countedHop(s.host)
	s.host.Network().Notify(&network.NotifyBundle{DisconnectedF: func(n network.Network, c network.Conn) {
		if p := c.RemotePeer(); n.Connectedness(p) != network.Connected {
			r.ledger.released(p)
		}
	}})
	if s.service, err = newService(s.hop, r.cfg.Limits, r.tracer); err != nil {
		return nil, err
	}
	if s.dht, err = newDHT(s.host, r.cfg.Network, r.fleet.list); err != nil {
		return nil, err
	}
	r.wished.open(s.host.Network())
	for _, l := range r.wished.view() {
		if !l.Up {
			r.log.Error("listener did not come up", slog.String("address", l.Address), slog.String("cause", l.Error))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host, r.hop, r.dht, r.apiAddr = s.host, s.hop, s.dht, s.api.Addr()
	return s, nil
}

// close ends what start began, in reverse. The API is ended by its server, or here
// when there is none yet.
func (s *stack) close() error {
	var errs []error
	if s.dht != nil {
		errs = append(errs, s.dht.Close())
	}
	if s.service != nil {
		errs = append(errs, s.service.Close())
	}
	if s.host != nil {
		errs = append(errs, s.host.Close())
	}
	if s.events != nil {
		errs = append(errs, s.events.Close())
	}
	if s.api != nil {
		if err := s.api.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
