package probe

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"

	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
)

const coldDomain = "p2p.cold.test"

// named is a DNS server that has these addresses at the name of the domain.
func named(t *testing.T, addrs ...string) string {
	t.Helper()
	values := make([]string, len(addrs))
	for i, a := range addrs {
		values[i] = "dnsaddr=" + a
	}
	return resolvetest.Start(t, resolvetest.Texts("_dnsaddr."+coldDomain, 60, values...).Recursive).Addr
}

func coldStartFrom(t *testing.T, server string) (Cold, error) {
	t.Helper()
	return New(Config{Version: "test"}).ColdStart(t.Context(), coldDomain, server)
}

func TestColdStart_ReservesAtARelayThatItKnewNothingOf(t *testing.T) {
	r := newRelay(t, "/ip4/127.0.0.1/tcp/0")
	got, err := coldStartFrom(t, named(t, addrOf(t, r).String(), "/ip4/127.0.0.1/tcp/1"))
	if err != nil {
		t.Fatalf("ColdStart: %v", err)
	}
	if got.PeerID != r.ID().String() || got.Address != r.Addrs()[0].String() || got.Agent != "bitterbot/1.0.0/management" || got.Tier() != "management" {
		t.Errorf("got %+v, want the relay %s at %s of tier management", got, r.ID(), r.Addrs()[0])
	}
	if got.Resolved <= 0 || got.Connected < got.Resolved || got.Reserved < got.Connected || got.Addresses != 2 || len(got.Relays) != 1 {
		t.Errorf("got %+v, want times in their order, two addresses and one relay", got)
	}
}

func TestColdStart_GoesOnWhereARelayIsFullOrGone(t *testing.T) {
	none := relay.DefaultResources()
	none.MaxReservations = 0
	full, good := newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithResources(none)), newRelay(t, "/ip4/127.0.0.1/udp/0/quic-v1")
	gone := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	left := addrOf(t, gone).String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := coldStartFrom(t, named(t, left, addrOf(t, full).String(), addrOf(t, good).String()))
	if err != nil || got.PeerID != good.ID().String() {
		t.Fatalf("got %+v, error %v; want the relay %s", got, err, good.ID())
	}
	for _, try := range got.Tried {
		if try.PeerID == good.ID().String() || try.Step != "dial" && try.Step != "reserve" || try.Err == "" {
			t.Errorf("tried %+v, want only the two that cannot serve, each with its step and error", try)
		}
	}
}

func TestColdStart_SaysAtWhichStepItEnded(t *testing.T) {
	none := relay.DefaultResources()
	none.MaxReservations = 0
	full := newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithResources(none))
	gone := newPeer(t, "/ip4/127.0.0.1/tcp/0")
	left := addrOf(t, gone).String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for step, server := range map[string]string{
		"resolve": named(t), "connect": named(t, left), "reserve": named(t, left, addrOf(t, full).String()),
	} {
		got, err := coldStartFrom(t, server)
		if err == nil || !strings.Contains(err.Error(), "/dnsaddr/"+coldDomain+": "+step+": ") || got.PeerID != "" || got.Reserved != 0 {
			t.Errorf("got %+v, error %v; want one of step %s", got, err, step)
		}
		if step == "resolve" && !strings.Contains(err.Error(), server) {
			t.Errorf("got error %v, want the server %s that was asked in it", err, server)
		}
		if connected := step == "reserve"; (got.Connected > 0) != connected {
			t.Errorf("%s: connected after %s, want %v", step, got.Connected, connected)
		}
		if step == "reserve" && !slices.ContainsFunc(got.Tried, func(t Try) bool { return t.Step == "reserve" && strings.Contains(t.Err, "refused") }) {
			t.Errorf("tried %+v, want a refusal", got.Tried)
		}
	}
}

func TestColdStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	server := resolvetest.Start(t, resolvetest.Silent).Addr
	begin := time.Now()
	if _, err := New(Config{}).ColdStart(ctx, coldDomain, server); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that nothing was resolved", err)
	}
	if took := time.Since(begin); took > coldTimeout/2 {
		t.Errorf("took %s, want no longer than its context", took)
	}
}
