package fleettest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
	"github.com/relayfleet/fleetctl/fleet/providertest"
)

func TestProvider_KeepsTheContract(t *testing.T) {
	providertest.Run(t, func(*testing.T) providertest.Subject {
		p := fleettest.NewProvider("demo")
		return providertest.Subject{
			Provider: p, Fleet: "demo", Key: "ssh-ed25519 AAAA",
			Again: func(*testing.T) fleet.Provider { return p },
			SwitchOff: func(t *testing.T, id string) {
				if err := p.SwitchOff(id); err != nil {
					t.Fatalf("switch off: %v", err)
				}
			},
		}
	})
}

func TestProvider_HookBeforeKeepsTheEffectAway(t *testing.T) {
	broken := errors.New("broken")
	p := fleettest.NewProvider("demo")
	p.Before = func(_ context.Context, c fleettest.Call) error {
		if c.Method == "Create" {
			return broken
		}
		return nil
	}
	if _, err := p.Create(t.Context(), fleet.NewMachine{Node: "nyc1-1", Op: "1"}); !errors.Is(err, broken) {
		t.Fatalf("Create: got error %v, want the hook's", err)
	}
	if ms, err := p.Machines(t.Context()); err != nil || len(ms) != 0 {
		t.Errorf("machines: got %v, %v, want none", ms, err)
	}
}

func TestProvider_HookAfterFailsACallThatHappened(t *testing.T) {
	broken := errors.New("broken")
	p := fleettest.NewProvider("demo")
	p.After = func(_ context.Context, c fleettest.Call) error {
		if c.Method == "Create" {
			return broken
		}
		return nil
	}
	if _, err := p.Create(t.Context(), fleet.NewMachine{Node: "nyc1-1", Op: "1"}); !errors.Is(err, broken) {
		t.Fatalf("Create: got error %v, want the hook's", err)
	}
	if ms, err := p.Machines(t.Context()); err != nil || len(ms) != 1 {
		t.Errorf("machines: got %v, %v, want the one that was made", ms, err)
	}
}
