// Package fleettest simulates the world that a fleet lives in: a provider with machines,
// boxes with relays on them, a prober that uses their addresses. Everything is in
// memory, can fail at any call, and is read back through the interfaces of package
// fleet, as the real world is.
package fleettest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mr-tron/base58"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// ErrBroken is the failure of a box, a relay or a call that a test broke.
var ErrBroken = errors.New("simulated failure")

// Box is a machine, and what is on its disk.
type Box struct {
	Machine fleet.Machine
	Relay   fleet.Relay
	Census  map[string]bool // whom its relay has ever seen
	SSHDown bool            // readings and changes over SSH fail
	Mute    bool            // the relay's addresses do not answer, though it runs
}

// World is the simulation. Its methods are safe for concurrent use; a test that looks at
// boxes does so through Boxes, which copies.
type World struct {
	// Fault is asked before and after the effect of each call ("provider.create",
	// "hosts.configure", …); an error that it returns is the call's. It may be nil.
	Fault func(call string, done bool) error
	// Hidden makes the provider list nothing: the token of another account.
	Hidden bool

	mu    sync.Mutex
	fleet string
	boxes map[string]*Box
	made  int
	saved map[string]bool // every entry of a census that was ever counted
}

// NewWorld is an empty world for one fleet.
func NewWorld(fleetName string) *World {
	return &World{fleet: fleetName, boxes: make(map[string]*Box), saved: make(map[string]bool)}
}

// Backends of the world with the given zone.
func (w *World) Backends(z dnsaddr.Zone) fleet.Backends {
	return fleet.Backends{Provider: provider{w}, Hosts: hosts{w}, Zone: z, Prober: prober{w}, Key: "ssh-ed25519 AAAA"}
}

// Boxes copies what there is, sorted by machine ID.
func (w *World) Boxes() []Box {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Box
	for _, id := range w.ids() {
		out = append(out, *w.boxes[id])
	}
	return out
}

// Change lets a test break or repair a box. An unknown ID is ignored.
func (w *World) Change(id string, f func(*Box)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, ok := w.boxes[id]; ok {
		f(b)
	}
}

// Meet lets a relay count a peer.
func (w *World) Meet(id, peer string) {
	w.Change(id, func(b *Box) {
		b.Census[peer] = true
		w.saved[peer] = true
	})
}

// Lost lists the peers that some relay counted and that no box knows any more.
func (w *World) Lost() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for peer := range w.saved {
		known := false
		for _, b := range w.boxes {
			known = known || b.Census[peer]
		}
		if !known {
			out = append(out, peer)
		}
	}
	slices.Sort(out)
	return out
}

// PeerID makes the text of an Ed25519 peer ID out of a seed.
func PeerID(seed string) string {
	key := sha256.Sum256([]byte(seed))
	return base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, key[:]...))
}

func (w *World) ids() []string {
	ids := make([]string, 0, len(w.boxes))
	for id := range w.boxes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// call runs one effect under the world's lock, with the faults that the test asked for.
func (w *World) call(ctx context.Context, name string, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.Fault != nil {
		if err := w.Fault(name, false); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	w.mu.Lock()
	err := effect()
	w.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if w.Fault != nil {
		if err := w.Fault(name, true); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// provider is the world's fleet.Provider.
type provider struct{ w *World }

var _ fleet.Provider = provider{}

func (p provider) Machines(ctx context.Context) ([]fleet.Machine, error) {
	out := []fleet.Machine{}
	err := p.w.call(ctx, "provider.machines", func() error {
		if p.w.Hidden {
			return nil
		}
		for _, id := range p.w.ids() {
			out = append(out, p.w.boxes[id].Machine)
		}
		return nil
	})
	return out, err
}

func (p provider) Create(ctx context.Context, n fleet.NewMachine) (m fleet.Machine, err error) {
	err = p.w.call(ctx, "provider.create", func() error {
		for _, b := range p.w.boxes {
			if b.Machine.Op == n.Op {
				m = b.Machine
				return nil
			}
		}
		p.w.made++
		ip := netip.AddrFrom4([4]byte{192, 0, 0, byte(129 + p.w.made%100)})
		m = fleet.Machine{
			ID: n.Node + "-" + strings.ToLower(n.Op), Name: n.Node, Fleet: p.w.fleet, Node: n.Node, Region: n.Region, Op: n.Op,
			Status: fleet.StatusRunning, Addrs: []netip.Addr{ip}, Ports: fleet.Ports{SSH: 22, TCP: 20000 + p.w.made}, User: "relay",
		}
		p.w.boxes[m.ID] = &Box{Machine: m, Census: make(map[string]bool)}
		return nil
	})
	return m, err
}

func (p provider) Start(ctx context.Context, id string) error {
	return p.w.call(ctx, "provider.start", func() error {
		b, ok := p.w.boxes[id]
		if !ok {
			return fleet.ErrNoMachine
		}
		b.Machine.Status = fleet.StatusRunning
		b.Relay.Active, b.Relay.Ready = b.Relay.Installed, b.Relay.Installed
		return nil
	})
}

func (p provider) Delete(ctx context.Context, id string) error {
	return p.w.call(ctx, "provider.delete", func() error {
		delete(p.w.boxes, id)
		return nil
	})
}

func (p provider) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	return p.w.call(ctx, "provider.mark", func() error {
		b, ok := p.w.boxes[id]
		if !ok {
			return fleet.ErrNoMachine
		}
		if phase, ok := set[fleet.MarkPhase]; ok {
			b.Machine.Phase = fleet.Phase(phase)
		}
		if slices.Contains(unset, fleet.MarkPhase) {
			b.Machine.Phase = fleet.PhaseActive
		}
		return nil
	})
}

func (p provider) EnsureKey(ctx context.Context, _ string) error {
	return p.w.call(ctx, "provider.ensure-key", func() error { return nil })
}

func (p provider) EnsureFirewall(ctx context.Context) error {
	return p.w.call(ctx, "provider.ensure-firewall", func() error { return nil })
}

func (p provider) Leftovers(ctx context.Context) ([]string, error) {
	return []string{}, p.w.call(ctx, "provider.leftovers", func() error { return nil })
}

func (p provider) Cleanup(ctx context.Context) error {
	return p.w.call(ctx, "provider.cleanup", func() error {
		if len(p.w.boxes) > 0 {
			return errors.New("machines are left")
		}
		return nil
	})
}

// prober uses the addresses of the world's relays.
type prober struct{ w *World }

var _ fleet.Prober = prober{}

func (p prober) Probe(ctx context.Context, a dnsaddr.Addr) (fleet.Probe, error) {
	out := fleet.Probe{Addr: a, Via: "here", Verdict: fleet.Unreachable, Steps: []fleet.ProbeStep{}}
	err := p.w.call(ctx, "prober.probe", func() error {
		for _, b := range p.w.boxes {
			if !b.Relay.Active || b.Mute || b.Machine.Status != fleet.StatusRunning {
				continue
			}
			at := fmt.Sprintf("/ip4/%s/tcp/%d", b.Machine.Addrs[0], b.Machine.Ports.TCP)
			switch {
			case !strings.HasPrefix(a.String(), at+"/"):
			case b.Relay.PeerID != a.PeerID():
				out.Verdict = fleet.WrongPeer
			case b.Relay.Draining:
				out.Verdict = fleet.Draining
			default:
				out.Verdict = fleet.Serving
			}
		}
		return nil
	})
	out.At = time.Now()
	return out, err
}
