package fleettest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/fleet"
)

// hosts is the world's fleet.Hosts.
type hosts struct{ w *World }

var _ fleet.Hosts = hosts{}

// on runs one effect on a box over its simulated SSH.
func (h hosts) on(ctx context.Context, call string, m fleet.Machine, effect func(*Box) error) error {
	running := slices.ContainsFunc(h.w.machines.all(), func(l fleet.Machine) bool {
		return l.ID == m.ID && l.Status == fleet.StatusRunning
	})
	return h.w.call(ctx, call, func() error {
		if b := h.w.box(m.ID); running && !b.SSHDown {
			return effect(b)
		}
		return fmt.Errorf("%s: ssh: %w", m.Node, ErrBroken)
	})
}

func (h hosts) Inspect(ctx context.Context, m fleet.Machine) (r fleet.Relay, err error) {
	err = h.on(ctx, "hosts.inspect", m, func(b *Box) error {
		r = b.Relay
		r.Peers = slices.Clone(b.Relay.Peers)
		return nil
	})
	return r, err
}

func (h hosts) Await(ctx context.Context, m fleet.Machine, _ func(string)) error {
	return h.on(ctx, "hosts.await", m, func(*Box) error { return nil })
}

func (h hosts) Settle(ctx context.Context, m fleet.Machine) error {
	return h.on(ctx, "hosts.settle", m, func(b *Box) error {
		b.Relay.Drift = slices.DeleteFunc(slices.Clone(b.Relay.Drift), func(d fleet.Drift) bool { return d.Fix == fleet.FixInPlace })
		return nil
	})
}

func (h hosts) Rekey(ctx context.Context, m fleet.Machine, trust func(context.Context, string) error) error {
	bootstrap := false
	if err := h.on(ctx, "hosts.rekey", m, func(b *Box) error { bootstrap = b.Relay.Bootstrap; return nil }); err != nil || !bootstrap {
		return err
	}
	if err := trust(ctx, m.HostKey); err != nil {
		return err
	}
	return h.on(ctx, "hosts.rekey", m, func(b *Box) error { b.Relay.Bootstrap = false; return nil })
}

func (h hosts) Uninstall(ctx context.Context, m fleet.Machine) error {
	return h.on(ctx, "hosts.uninstall", m, func(b *Box) error {
		b.Relay = fleet.Relay{PeerID: b.Relay.PeerID}
		return nil
	})
}

func (h hosts) Configure(ctx context.Context, m fleet.Machine, config string, rel fleet.Release) error {
	return h.on(ctx, "hosts.configure", m, func(b *Box) error {
		if rel.SHA256 != "" && rel.SHA256 != b.Relay.SHA256 || config != b.Relay.Config {
			if b.Relay.Active {
				b.Relay.Restarted = time.Now()
			}
			b.Relay.Config = config
			if rel.SHA256 != "" {
				b.Relay.SHA256, b.Relay.Version = rel.SHA256, rel.Version
			}
		}
		b.Relay.Installed, b.Relay.Active, b.Relay.Ready = true, true, true
		if b.Relay.PeerID == "" {
			b.Relay.PeerID = PeerID(m.ID)
		}
		return nil
	})
}

func (h hosts) Introduce(ctx context.Context, m fleet.Machine, peers []string) error {
	return h.on(ctx, "hosts.introduce", m, func(b *Box) error {
		b.Relay.Peers = slices.Clone(peers)
		return nil
	})
}

func (h hosts) Drain(ctx context.Context, m fleet.Machine) error {
	return h.on(ctx, "hosts.drain", m, func(b *Box) error {
		b.Relay.Draining = true
		return nil
	})
}

func (h hosts) CarryCensus(ctx context.Context, from, to fleet.Machine) error {
	var old map[string]bool
	if err := h.on(ctx, "hosts.census-read", from, func(b *Box) error {
		old = maps.Clone(b.Census)
		return nil
	}); err != nil {
		return err
	}
	return h.on(ctx, "hosts.census", to, func(b *Box) error {
		maps.Copy(b.Census, old)
		return nil
	})
}

func (h hosts) Stop(ctx context.Context, m fleet.Machine) error {
	return h.on(ctx, "hosts.stop", m, func(b *Box) error {
		b.Relay.Active, b.Relay.Ready = false, false
		return nil
	})
}

func (h hosts) Ping(ctx context.Context, m fleet.Machine, a dnsaddr.Addr) error {
	return h.on(ctx, "hosts.ping", m, func(*Box) error {
		for _, b := range h.w.boxes {
			if b.Relay.Active && !b.Mute && b.Relay.PeerID == a.PeerID() {
				return nil
			}
		}
		return fmt.Errorf("ping %s: %w", a, ErrBroken)
	})
}
