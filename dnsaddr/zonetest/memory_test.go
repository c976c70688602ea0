package zonetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
)

func TestMemory_IsAZone(t *testing.T) {
	zonetest.Run(t, func(*testing.T) dnsaddr.Zone { return zonetest.NewMemory() })
}

func TestMemory_HookEndsAnApplyAfterAPrefix(t *testing.T) {
	m := zonetest.NewMemory()
	broken := errors.New("broken")
	m.Hook(func(_ context.Context, c zonetest.Call) error {
		if c.Op == zonetest.OpAdd && c.Record.Value == "b" {
			return broken
		}
		return nil
	})
	err := m.Apply(t.Context(), "name", dnsaddr.Changes{Add: []dnsaddr.Record{
		{Value: "a", TTL: time.Second}, {Value: "b", TTL: time.Second}, {Value: "c", TTL: time.Second},
	}})
	if !errors.Is(err, broken) {
		t.Errorf("got error %v, want the hook's", err)
	}
	got, err := m.Records(t.Context(), "name")
	if err != nil || len(got) != 1 || got[0].Value != "a" {
		t.Errorf("got %v, %v, want the record before the one that failed", got, err)
	}
	if h := m.History(); len(h) != 1 || m.Writes() != 1 {
		t.Errorf("history %v, writes %d: want one state", h, m.Writes())
	}
}

func TestMemory_HookMayReadTheZone(t *testing.T) {
	m := zonetest.NewMemory()
	var seen []int
	m.Hook(func(ctx context.Context, c zonetest.Call) error {
		if c.Op != zonetest.OpAdd {
			return nil
		}
		got, err := m.Records(ctx, c.Name)
		seen = append(seen, len(got))
		return err
	})
	if err := m.Apply(t.Context(), "name", dnsaddr.Changes{Add: []dnsaddr.Record{{Value: "a", TTL: time.Second}, {Value: "b", TTL: time.Second}}}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[0] != 0 || seen[1] != 1 {
		t.Errorf("got %v, want the number of records before each add", seen)
	}
}
