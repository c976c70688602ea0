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
	Machine fleet.Machine // as its provider knows it; changing it here changes nothing
	Relay   fleet.Relay
	Census  map[string]bool // whom its relay has ever seen
	SSHDown bool            // readings and changes over SSH fail
	Mute    bool            // the relay's addresses do not answer, though it runs
}

// World is the simulation: a [Provider], and a box for each of its machines. It is safe
// for concurrent use; a test that looks at boxes does so through Boxes, which copies.
type World struct {
	// Fault is asked before and after the effect of each call ("provider.create",
	// "hosts.configure", …); an error that it returns is the call's. It may be nil.
	Fault func(call string, done bool) error
	// Hidden makes the provider list nothing: the token of another account.
	Hidden bool

	machines *Provider
	mu       sync.Mutex
	boxes    map[string]*Box // by machine ID
	saved    map[string]bool // every entry of a census that was ever counted
}

// NewWorld is an empty world for one fleet.
func NewWorld(fleetName string) *World {
	w := &World{machines: NewProvider(fleetName), boxes: make(map[string]*Box), saved: make(map[string]bool)}
	w.machines.Before = func(_ context.Context, c Call) error { return w.fault("provider."+strings.ToLower(c.Method), false) }
	w.machines.After = func(_ context.Context, c Call) error { return w.fault("provider."+strings.ToLower(c.Method), true) }
	w.machines.List = func(all []fleet.Machine) []fleet.Machine {
		if w.Hidden {
			return []fleet.Machine{}
		}
		return all
	}
	return w
}

// Backends of the world with the given zone.
func (w *World) Backends(z dnsaddr.Zone) fleet.Backends {
	return fleet.Backends{Provider: provider{w.machines, w}, Hosts: hosts{w}, Zone: z, Prober: prober{w}, Key: "ssh-ed25519 AAAA"}
}

// Sell gives machines a monthly price in USD, and the account a limit; 0 is no limit.
func (w *World) Sell(price float64, limit int) { w.machines.Price, w.machines.Limit = price, limit }

// Boxes copies what there is, sorted by machine ID.
func (w *World) Boxes() []Box {
	machines := w.machines.all()
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Box, 0, len(machines))
	for _, m := range machines {
		b := *w.box(m.ID)
		b.Machine = m
		out = append(out, b)
	}
	return out
}

// Change lets a test break or repair a box.
func (w *World) Change(id string, f func(*Box)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.box(id))
}

// SwitchOff cuts the power of a machine.
func (w *World) SwitchOff(id string) {
	_ = w.machines.SwitchOff(id) // one that is gone is off
	w.Change(id, func(b *Box) { b.Relay.Active, b.Relay.Ready = false, false })
}

// box is the disk of a machine, empty at first. The lock is held.
func (w *World) box(id string) *Box {
	if w.boxes[id] == nil {
		w.boxes[id] = &Box{Census: make(map[string]bool)}
	}
	return w.boxes[id]
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

func (w *World) fault(call string, done bool) error {
	if w.Fault == nil {
		return nil
	}
	return w.Fault(call, done)
}

// call runs one effect under the world's lock, with the faults that the test asked for.
func (w *World) call(ctx context.Context, name string, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.fault(name, false); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.mu.Lock()
	err := effect()
	w.mu.Unlock()
	if err == nil {
		err = w.fault(name, true)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// provider is the world's fleet.Provider: what happens to a machine happens to its box.
type provider struct {
	*Provider
	w *World
}

var _ fleet.Provider = provider{}

func (p provider) Start(ctx context.Context, id string) error {
	err := p.Provider.Start(ctx, id)
	if i := slices.IndexFunc(p.all(), func(m fleet.Machine) bool { return m.ID == id && m.Status == fleet.StatusRunning }); i >= 0 {
		p.w.Change(id, func(b *Box) { b.Relay.Active, b.Relay.Ready = b.Relay.Installed, b.Relay.Installed })
	}
	return err
}

func (p provider) Delete(ctx context.Context, id string) error {
	err := p.Provider.Delete(ctx, id)
	if !slices.ContainsFunc(p.all(), func(m fleet.Machine) bool { return m.ID == id }) {
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		delete(p.w.boxes, id)
	}
	return err
}

// prober uses the addresses of the world's relays.
type prober struct{ w *World }

var _ fleet.Prober = prober{}

func (p prober) Probe(ctx context.Context, a dnsaddr.Addr) (fleet.Probe, error) {
	out := fleet.Probe{Addr: a, Via: fleet.Here, Verdict: fleet.Unreachable, Steps: []fleet.ProbeStep{}}
	machines := p.w.machines.all()
	err := p.w.call(ctx, "prober.probe", func() error {
		for _, m := range machines {
			b := p.w.box(m.ID)
			if !b.Relay.Active || b.Mute || m.Status != fleet.StatusRunning || !strings.HasPrefix(a.String(), fmt.Sprintf("/ip4/%s/", m.Addrs[0])) {
				continue
			}
			switch {
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
