package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// run is one probe: two hosts and what they found out.
type run struct {
	id   peer.ID
	addr ma.Multiaddr // without the peer ID

	near, far host.Host // near reserves, far comes through the relay
	conn      network.Conn
	hidden    error // identify named no hop protocol
}

func newRun(agent string, timeout time.Duration, addr dnsaddr.Addr) (*run, error) {
	id, err := peer.Decode(addr.PeerID())
	if err != nil {
		return nil, fmt.Errorf("peer ID: %w", err)
	}
	to, err := ma.NewMultiaddr(addr.Dial())
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	near, err := newHost(agent, timeout, to)
	if err != nil {
		return nil, err
	}
	far, err := newHost(agent, timeout, to)
	if err != nil {
		return nil, errors.Join(err, near.Close())
	}
	return &run{id: id, addr: to, near: near, far: far}, nil
}

// close releases the reservation and everything else.
func (r *run) close() {
	_ = r.far.Close() // nothing is left to be lost
	_ = r.near.Close()
}

// steps takes one step after the other until one fails, and says what that means.
func (r *run) steps(ctx context.Context) (fleet.Verdict, []fleet.ProbeStep) {
	done := make([]fleet.ProbeStep, 0, 5)
	for _, step := range []struct {
		name  string
		do    func(context.Context) error
		means func(error) fleet.Verdict
	}{
		{"resolve", r.resolve, func(error) fleet.Verdict { return fleet.Unreachable }},
		{"dial", r.dial, dialVerdict},
		{"identify", r.identify, nil},
		{"reserve", r.reserve, refusal},
		{"relay", r.relay, circuitRefusal},
	} {
		begin := time.Now()
		err := step.do(ctx)
		got := fleet.ProbeStep{Name: step.name, Took: time.Since(begin)}
		if err != nil {
			got.Err = oneLine(err.Error())
		}
		done = append(done, got)
		if err != nil && step.means != nil {
			return step.means(err), done
		}
	}
	return fleet.Serving, done
}

// resolve looks a name up, so that a name without addresses is told from a relay that
// does not answer. Addresses pass.
func (r *run) resolve(ctx context.Context) error {
	network := ""
	switch r.addr[0].Code() {
	case ma.P_DNS:
		network = "ip"
	case ma.P_DNS4:
		network = "ip4"
	case ma.P_DNS6:
		network = "ip6"
	default:
		return nil
	}
	_, err := net.DefaultResolver.LookupNetIP(ctx, network, r.addr[0].Value())
	return err
}

func (r *run) dial(ctx context.Context) (err error) {
	r.conn, err = dial(ctx, r.near, r.id, r.addr)
	return dialError(err)
}

// dialError is the reason for which the one address could not be dialed. The text of
// the swarm repeats peer IDs and addresses, and is cut before it comes to the point.
func dialError(err error) error {
	var wrong sec.ErrPeerIDMismatch
	if errors.As(err, &wrong) {
		return fmt.Errorf("another peer answers, %s: %w", wrong.Actual, wrong)
	}
	var all *swarm.DialError
	if errors.As(err, &all) && len(all.DialErrors) == 1 {
		return all.DialErrors[0].Cause
	}
	return err
}

// dialVerdict tells somebody else from nobody.
func dialVerdict(err error) fleet.Verdict {
	var wrong sec.ErrPeerIDMismatch
	if errors.As(err, &wrong) {
		return fleet.WrongPeer
	}
	return fleet.Unreachable
}

// identify asks what the relay serves. A relay that drains hides the hop protocol, and
// only a reservation tells it from a host that is no relay: this step decides nothing.
func (r *run) identify(ctx context.Context) error {
	h, ok := r.near.(interface{ IDService() identify.IDService })
	if !ok {
		return errors.New("this host cannot identify")
	}
	select {
	case <-h.IDService().IdentifyWait(r.conn):
	case <-ctx.Done():
		r.hidden = fmt.Errorf("no answer: %w", ctx.Err())
		return r.hidden
	}
	protocols, err := r.near.Peerstore().GetProtocols(r.id)
	if err == nil && !slices.Contains(protocols, proto.ProtoIDv2Hop) {
		r.hidden = fmt.Errorf("%s does not advertise %s", r.agent(), proto.ProtoIDv2Hop)
		err = r.hidden
	}
	return err
}

// agent is what the relay calls itself.
func (r *run) agent() string {
	if name, err := r.near.Peerstore().Get(r.id, "AgentVersion"); err == nil {
		return fmt.Sprintf("%.80q", name)
	}
	return "it"
}

func (r *run) reserve(ctx context.Context) error {
	stop := hangUp(ctx, r.near, r.id)
	defer stop()
	_, err := client.Reserve(ctx, r.near, peer.AddrInfo{ID: r.id})
	var refused client.ReservationError
	if errors.As(err, &refused) {
		err = refusedError{refused}
	}
	if err == nil {
		err = r.hidden // clients do not try a relay that does not advertise itself
	}
	return inTime(ctx, err)
}

// inTime names the end of the time as the reason of what it broke.
func inTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
	return err
}
