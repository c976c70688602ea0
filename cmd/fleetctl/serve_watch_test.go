package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/history"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/statedir"
	"github.com/relayfleet/fleetctl/pkg/web"
	"github.com/relayfleet/fleetctl/stats"
)

// describe writes a fleet.yaml for an app.
func describe(t *testing.T, a *app, name string) {
	t.Helper()
	text := fmt.Sprintf("name: %s\nnodes: [{region: nyc1}]\ndns: {domain: p2p.demo.test}\n", name)
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// idleWatcher is a watcher of the fleet that fleet.yaml describes, of which nothing runs.
func idleWatcher(t *testing.T) *watcher {
	t.Helper()
	a, _, _ := testApp(t)
	a.dir, a.wrapRunner = t.TempDir(), func(r sshx.Runner) sshx.Runner { return r }
	a.globals.config = "fleet.yaml"
	describe(t, a, "demo")
	w, err := a.watcher(serveFlags{look: 15 * time.Second, every: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.current().close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestServe_FollowsAFleetFileThatIsEdited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := idleWatcher(t)
		w.note(func(v *seen) {
			v.telemetry.figures = map[string]stats.Figure{"lifetime_unique_peers": {}}
			v.events = []web.Event{{At: lookTime(), Text: "nyc1-1 is serving"}}
			v.roster = roster{lookTime(), []fleet.Machine{{Node: "nyc1-1"}}}
		})
		ended := make(chan error, 1)
		go func() { ended <- w.changes(t.Context(), w.current()) }()
		synctest.Wait()
		if err := os.WriteFile(filepath.Join(w.app.dir, "fleet.yaml"), []byte("name: [\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // in the bubble
		if f := w.Look().Fleet; f.Name != "demo" || len(f.Errors) != 1 || !strings.Contains(f.Errors[0], "as it was before") {
			t.Errorf("fleet.yaml is broken: fleet %q, errors %q, want demo as it was before", f.Name, f.Errors)
		}
		describe(t, w.app, "other")
		if err := <-ended; !errors.Is(err, errChanged) {
			t.Errorf("fleet.yaml is another one: %v, want errChanged", err)
		}
		closeOf(t, w)
		if err := w.reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
		f := w.Look().Fleet
		if f.Name != "other" || w.name() != "other" || len(f.Errors) > 0 || len(f.Figures) > 0 || len(f.Events) > 0 || !f.LookedAt.IsZero() {
			t.Errorf("after the change: fleet %q, errors %q, figures %v, events %v, want other and nothing of demo", f.Name, f.Errors, f.Figures, f.Events)
		}
		if got := w.seen.roster.machines; len(got) > 0 {
			t.Errorf("after the change: machines %v, want none: they are of demo", got)
		}
	})
}

func TestServe_AFleetFileThatIsMendedIsNotCalledBrokenAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := idleWatcher(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.changes(ctx, w.current()) }()
		synctest.Wait()
		if err := os.WriteFile(filepath.Join(w.app.dir, "fleet.yaml"), []byte("name: [\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // in the bubble
		describe(t, w.app, "demo")  // as it was
		time.Sleep(3 * time.Second) // in the bubble
		cancel()
		if err := <-ended; !errors.Is(err, errChanged) {
			t.Errorf("fleet.yaml is as it was: %v, want errChanged, which forgets the error", err)
		}
	})
}

// closeOf ends the session that is open, as run does.
func closeOf(t *testing.T, w *watcher) {
	t.Helper()
	if err := w.current().close(); err != nil {
		t.Fatal(err)
	}
}

func TestServe_ARereadOfTheSameFleetKeepsItsTelemetryAndEvents(t *testing.T) {
	w := idleWatcher(t)
	w.note(func(v *seen) {
		v.telemetry.figures = map[string]stats.Figure{"lifetime_unique_peers": {}}
		v.events = []web.Event{{At: lookTime(), Text: "nyc1-1 is serving"}}
		v.roster = roster{lookTime(), []fleet.Machine{{Node: "nyc1-1"}}}
	})
	closeOf(t, w)
	if err := w.reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := w.Look().Fleet; len(f.Figures) != 1 || len(f.Events) != 1 {
		t.Errorf("figures %v, events %v, want those of before", f.Figures, f.Events)
	}
	if got := w.seen.roster.machines; len(got) != 1 {
		t.Errorf("machines %v, want those of before", got)
	}
}

func TestServe_AFleetFileThatCannotBeReadIsSaidUntilItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := idleWatcher(t)
		closeOf(t, w)
		if err := os.Remove(filepath.Join(w.app.dir, "fleet.yaml")); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- w.reopen(t.Context()) }()
		synctest.Wait()
		if f := w.Look().Fleet; len(f.Errors) != 1 || !f.LookedAt.IsZero() || f.Relays[0].State != "unknown" {
			t.Errorf("without a fleet.yaml: errors %q, looked at %s, want the reason and nothing known", f.Errors, f.LookedAt)
		}
		describe(t, w.app, "demo")
		if err := <-ended; err != nil || len(w.Look().Fleet.Errors) > 0 {
			t.Errorf("fleet.yaml is back: %v, errors %q, want none", err, w.Look().Fleet.Errors)
		}
	})
}

func TestServe_DNSServersThatCannotBeAskedTurnUnknown(t *testing.T) {
	w := idleWatcher(t)
	why := errors.New("no route")
	w.lost(why)
	if got := w.Look().Fleet.Zone.Servers; len(got) != 1 || got[0].State != "unknown" || got[0].Detail != "no route" {
		t.Errorf("none was ever asked: %+v, want one that is unknown, and why", got)
	}
	before := []web.NameServer{{Name: "a", State: "in sync"}, {Name: "b", State: "behind", Detail: "1 record is missing"}}
	w.note(func(v *seen) { v.servers = before })
	w.lost(why)
	for i, got := range w.Look().Fleet.Zone.Servers {
		if got.Name != before[i].Name || got.State != "unknown" || got.Detail != "no route" {
			t.Errorf("server %s is %+v, want it unknown, and why", before[i].Name, got)
		}
	}
	if before[0].State != "in sync" {
		t.Error("what a page shows was changed under it")
	}
}

// quoted is a provider that names prices.
type quoted struct {
	fleet.Provider
	quote fleet.Quote
	err   error
}

func (q quoted) Quote(context.Context, []fleet.NewMachine) (fleet.Quote, error) {
	return q.quote, q.err
}

func TestServe_ACostThatIsNotKnownIsNeitherNothingNorAPartOfIt(t *testing.T) {
	w := idleWatcher(t)
	line := func(monthly float64) fleet.PriceLine { return fleet.PriceLine{Node: "nyc1-1", Monthly: monthly} }
	for name, c := range map[string]struct {
		quoted
		want []web.Cost
	}{
		"all prices are named":                {quoted{quote: fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{line(6), line(12)}}}, []web.Cost{{Currency: "USD", Monthly: 18}}},
		"no machine is there yet":             {quoted{quote: fleet.Quote{Currency: "USD"}}, []web.Cost{{Currency: "USD"}}},
		"machines cost nothing":               {quoted{quote: fleet.Quote{Now: []fleet.PriceLine{line(0)}}}, []web.Cost{}},
		"the price of one of them is unknown": {quoted{quote: fleet.Quote{Currency: "USD", Now: []fleet.PriceLine{line(6), line(0)}}}, nil},
		"the provider does not answer":        {quoted{err: errors.New("away")}, nil},
	} {
		if err := w.price(t.Context(), &session{b: fleet.Backends{Provider: c.quoted}}); !errors.Is(err, c.err) {
			t.Errorf("%s: got error %v, want %v", name, err, c.err)
		}
		if got := w.Look().Fleet.Cost; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", name, got, c.want)
		}
	}
}

func TestServe_PricesThatCouldNotBeReadAreAskedForAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		var at []time.Duration
		begun := time.Now()
		err := prices(ctx, func() error {
			if at = append(at, time.Since(begun)); len(at) < 3 {
				return errors.New("away")
			}
			return nil
		})
		if want := []time.Duration{0, time.Minute, 2 * time.Minute, 62 * time.Minute}; !slices.Equal(at, want) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("asked at %v and ended with %v, want %v and the end of its context", at, err, want)
		}
	})
}

func TestKeeper_ReadsWhatAnotherCollectorWritesAndTakesOver(t *testing.T) {
	ctx := t.Context()
	dir, err := statedir.Open(t.TempDir(), "demo", "/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{dir: dir}
	other, err := history.Open(ctx, dir.Join(history.FileName), history.Options{Collector: true})
	if err != nil {
		t.Fatal(err)
	}
	k, reader := &keeper{collect: true}, &keeper{}
	opens := func(when string, k *keeper, want bool) {
		t.Helper()
		if mine, err := k.open(ctx, s); err != nil || mine != want {
			t.Errorf("%s: collects %v, %v, want %v", when, mine, err, want)
		}
		if err := k.with(func(store *history.Store) error { _, err := store.Relays(ctx); return err }); err != nil {
			t.Errorf("%s: read: %v", when, err)
		}
	}
	opens("beside another collector", k, false)
	opens("beside another collector, again", k, false)
	opens("--no-collect", reader, false)
	if _, err := other.Ingest(ctx, lookTime(), []stats.Reading{{Node: "nyc1-1", Err: errors.New("away")}}); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	opens("the other one ended", k, true)
	opens("--no-collect, though nobody else does", reader, false)
	for _, k := range []*keeper{k, reader} {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	}
	if err := k.with(func(*history.Store) error { return nil }); !errors.Is(err, history.ErrNone) {
		t.Errorf("after its end: %v, want ErrNone", err)
	}
}

func TestKeeper_AFleetThatWasNeverUpHasNoHistory(t *testing.T) {
	dir, err := statedir.OpenReadOnly(t.TempDir(), "demo", "/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{collect: true}
	if mine, err := k.open(t.Context(), &session{dir: dir, spec: fleet.Spec{Name: "demo"}}); mine || !errors.Is(err, history.ErrNone) {
		t.Errorf("open: collects %v, %v, want ErrNone", mine, err)
	}
	if dir.Exists() {
		t.Error("a state directory was made by looking")
	}
}
