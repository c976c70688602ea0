// Package memorytest puts Debian systems in memory behind the droplets of a simulated
// cloud: no process, no network, and no clock but the one of the test's bubble.
package memorytest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host/hosttest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Droplets are the machines of one cloud, each at an address that looks public, and what
// clients find there. They have the host key of their tags. Methods may be called at once.
type Droplets struct {
	Fake  *hosttest.Fake // how they are spoken to
	Boots time.Duration  // how long a boot takes; set it before the first

	mu    sync.Mutex
	addrs map[int]netip.Addr
}

var (
	_ dotest.Boxes = (*Droplets)(nil)
	_ fleet.Prober = (*Droplets)(nil)
)

// New returns droplets of which none has booted.
func New() *Droplets {
	return &Droplets{Fake: hosttest.NewFake(), addrs: make(map[int]netip.Addr)}
}

// Boot makes a machine at the next address.
func (d *Droplets) Boot(ctx context.Context, m dotest.Machine) ([]netip.Addr, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(d.Boots):
	}
	const mark = "hostkey:"
	i := slices.IndexFunc(m.Tags, func(tag string) bool { return strings.HasPrefix(tag, mark) })
	if i < 0 {
		return nil, fmt.Errorf("%s: no host key among its tags %q", m.Name, m.Tags)
	}
	key, err := sshx.DecodeHostKeyMark(strings.TrimPrefix(m.Tags[i], mark))
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.addrs) + 1
	addr := netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)})
	d.addrs[m.ID] = addr
	d.at(addr).Debian().Injected(key)
	return []netip.Addr{addr}, nil
}

// PowerOff makes a machine unreachable.
func (d *Droplets) PowerOff(_ context.Context, id int) error {
	d.Box(id).Unreachable(errors.New("no route to host"))
	d.Box(id).Kill()
	return nil
}

// PowerOn makes a machine reachable. Its relay stays dead.
func (d *Droplets) PowerOn(_ context.Context, id int) error {
	d.Box(id).Unreachable(nil)
	return nil
}

// Destroy is PowerOff: its address is not given to another.
func (d *Droplets) Destroy(ctx context.Context, id int) error { return d.PowerOff(ctx, id) }

// Box is the machine of a droplet that has booted.
func (d *Droplets) Box(id int) *hosttest.FakeBox {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at(d.addrs[id])
}

func (d *Droplets) at(addr netip.Addr) *hosttest.FakeBox {
	return d.Fake.Box(netip.AddrPortFrom(addr, 22).String())
}

// Probe finds a machine serving at its address, under its peer ID.
func (d *Droplets) Probe(ctx context.Context, a dnsaddr.Addr) (fleet.Probe, error) {
	out := fleet.Probe{Addr: a, At: time.Now(), Via: fleet.Here, Verdict: fleet.Unreachable, Steps: []fleet.ProbeStep{}}
	if err := ctx.Err(); err != nil {
		return out, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, addr := range d.addrs {
		if strings.HasPrefix(a.String(), "/ip4/"+addr.String()+"/") {
			if b := d.at(addr); b.Serves() && b.PeerID() == a.PeerID() {
				out.Verdict = fleet.Serving
			}
		}
	}
	return out, nil
}
