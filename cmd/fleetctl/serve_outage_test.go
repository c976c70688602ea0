package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// unlisting is a provider whose API does not answer.
type unlisting struct{ fleet.Provider }

func (unlisting) Machines(context.Context) ([]fleet.Machine, error) {
	return nil, errors.New("the API does not answer")
}

// oneWay leads to a server from one box, and from no other.
type oneWay struct{ node, to string }

func (o oneWay) Dial(ctx context.Context, at sshx.Target, _ string) (net.Conn, error) {
	if at.Name != o.node {
		return nil, errors.New("no route")
	}
	return new(net.Dialer).DialContext(ctx, "tcp", o.to)
}

// outage is a watcher that looked at a fleet of three, and then once more while the API of
// the provider did not answer. One of the relays does, for all that.
func outage(t *testing.T) (*watcher, *session) {
	t.Helper()
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			_, _ = io.WriteString(w, `{"ready":true}`)
			return
		}
		_, _ = io.WriteString(w, "relay_users 7\n")
	}))
	t.Cleanup(relay.Close)
	w := idleWatcher(t)
	s := keepHistory(t, w)
	s.b.Provider = unlisting{}
	before := threeSeen(t, fleet.Serving, fleet.Serving, fleet.Serving)
	for i := range before.look.state.Machines.Value {
		m := &before.look.state.Machines.Value[i]
		m.Addrs, m.Ports.SSH = []netip.Addr{netip.MustParseAddr("127.0.0.1")}, 1
	}
	now := lookTime().Add(time.Minute)
	w.app.now = func() time.Time { return now.Add(time.Second) }
	w.note(func(v *seen) { v.spec = before.spec })
	w.took(before.look)
	blind := look{begun: now, ended: now, state: fleet.State{At: now, Records: before.look.state.Records, Probes: before.look.state.Probes}}
	blind.state.Machines.Err = errors.New("the API does not answer")
	blind.status.Errors = []string{"the API does not answer"}
	for _, r := range before.look.status.Relays {
		r.State, r.Machine = "unknown", ""
		blind.status.Relays = append(blind.status.Relays, r)
	}
	w.took(blind)
	w.tunnels = &tunnels{ssh: oneWay{"nyc1-1", strings.TrimPrefix(relay.URL, "http://")}, way: make(map[string]*way)}
	t.Cleanup(w.tunnels.close)
	return w, s
}

func TestServe_AProviderThatIsAwayHidesNoRelayThatAnswers(t *testing.T) {
	w, _ := outage(t)
	want := []string{"serving", "unreadable", "unreadable"}
	var states []string
	f := w.Look().Fleet
	for tries := 0; tries < 5 && !slices.Equal(states, want); tries++ { // the answer of a computer that is busy may come too late
		w.ask(t.Context(), w.tunnels)
		f, states = w.Look().Fleet, nil
		for _, r := range f.Relays {
			states = append(states, r.State)
		}
	}
	if !slices.Equal(states, want) {
		t.Errorf("the relays are %q, want %q: one answers", states, want)
	}
	if want := "as they were listed at 2026-03-02 03:04:05 UTC"; !slices.ContainsFunc(f.Errors, func(e string) bool { return strings.Contains(e, want) }) {
		t.Errorf("errors %q, want of when the machines are: %q", f.Errors, want)
	}
	body, err := w.Scrape(t.Context(), "nyc1-1")
	if err != nil {
		t.Fatalf("its series: %v, want them", err)
	}
	defer func() { _ = body.Close() }()
	if text, err := io.ReadAll(body); err != nil || string(text) != "relay_users 7\n" {
		t.Errorf("its series: %q, %v", text, err)
	}
	if _, err := w.Scrape(t.Context(), "fra1-1"); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("series of a relay that does not answer: %v, want why", err)
	}
}

func TestServe_AProviderThatIsAwayStopsNoCollection(t *testing.T) {
	w, s := outage(t)
	w.collect(t.Context(), s)
	if got := w.Look().Fleet.Collected.Error; got != "" {
		t.Errorf("the collection ended with %q, want one of the machines that are known", got)
	}
	if err := w.store.with(func(store *history.Store) error {
		relays, err := store.Relays(t.Context())
		if err == nil && len(relays) != 3 {
			t.Errorf("%d relays were asked, want 3", len(relays))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestServe_AProviderThatListsNothingIsBelieved(t *testing.T) {
	w, s := outage(t)
	w.took(look{begun: lookTime(), ended: lookTime()})
	w.ask(t.Context(), w.tunnels)
	if _, err := w.Scrape(t.Context(), "nyc1-1"); err == nil {
		t.Error("a machine that is listed no more is asked")
	}
	s.b.Provider = unlisting{}
	w.collect(t.Context(), s)
	if got := w.Look().Fleet.Collected.Error; got != "the API does not answer" {
		t.Errorf("the collection ended with %q, want that nothing is known to be asked", got)
	}
}
