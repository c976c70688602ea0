package digitalocean_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// newFleetOf is a world that wants n nodes in one region, on an account that has room.
func newFleetOf(t *testing.T, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.cloud.SetAccount(dotest.Account{Token: token, DropletLimit: 2 * n})
	w.spec.Nodes = []fleet.NodeSpec{{Region: "nyc1", Count: n}}
	w.spec.DNS.MinRelays = 1
	w.spec.Ocean.MaxMachines = 2 * n
	lines, keys := kept(t, 3) // all that are named are one call more, whatever their number
	w.keep(t, lines...)
	w.spec.Ocean.SSHKeys = []string{ssh.FingerprintSHA256(keys[0]), ssh.FingerprintLegacyMD5(keys[1]), ssh.FingerprintLegacyMD5(keys[2])}
	return w
}

// bought puts the fleet's droplets on the account, new and not set up, as a create leaves
// them; with addr they are at its addresses and nothing is behind them.
func (w *world) bought(t *testing.T, addr func(i int) netip.Addr) {
	t.Helper()
	for i, slot := range w.spec.Slots() {
		_, hostKey, err := sshx.NewHostKey()
		if err != nil {
			t.Fatal(err)
		}
		hex, err := sshx.EncodeHostKeyMark(hostKey)
		if err != nil {
			t.Fatal(err)
		}
		op := strings.ToLower(ulid.Make().String())
		var addrs []netip.Addr
		if addr != nil {
			addrs = append(addrs, addr(i))
		}
		_, err = w.cloud.AddDroplet(t.Context(), token, dotest.Machine{
			Name: w.spec.Name + "-" + slot.Node + "-" + op[:8], Region: slot.Region,
			Tags: []string{"fleet:" + w.spec.Name, "fleetid:" + w.spec.ID, "fence:" + w.spec.Name, "slot:" + slot.Node, "op:" + op, "hostkey:" + hex, "relay"},
		}, addrs...)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.backends().Provider.EnsureFirewall(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// calls is how many requests were made since the last look, and which.
func (w *world) calls() (total int, which map[string]int) {
	which = w.cloud.Calls()
	for _, times := range which {
		total += times
	}
	w.cloud.ResetCalls()
	return total, which
}

// many are backends for many boxes: the host keys of boxes in memory are not compared with
// their marks at every command, which other tests do.
func (w *world) many() fleet.Backends {
	b := w.backends()
	b.Hosts = host.New(host.Config{
		Runner: w.boxes.Fake, Tunnel: w.boxes.Fake, Keys: w.boxes.Fake,
		System: host.SystemOf(w.spec, []string{operatorKey}), Actor: "test", Command: "test", HealthyDeadline: time.Minute,
	})
	return b
}

// observed is what a fresh process sees.
func (w *world) observed(t *testing.T) fleet.State {
	t.Helper()
	st, err := fleet.Observe(t.Context(), w.many(), w.spec)
	if err != nil || st.Machines.Err != nil {
		t.Fatalf("Observe: %v, machines: %v", err, st.Machines.Err)
	}
	return st
}

// TestScale_200DropletsArePlannedAsThreeAre goes through the life of a fleet, and of one
// that is many times as large.
func TestScale_200DropletsArePlannedAsThreeAre(t *testing.T) {
	lives := make(map[int][]string)
	for _, n := range []int{3, 200} {
		synctest.Test(t, func(t *testing.T) {
			w := newFleetOf(t, n)
			life := []string{shape(t, fleet.Diff(w.spec, w.observed(t), w.intent(fleet.Intent{})))}
			w.bought(t, nil)
			for {
				st := w.observed(t)
				plan := w.samePlan(t, st, fleet.Intent{})
				if life = append(life, shape(t, plan)); plan.Empty() && !plan.Soon() {
					break
				}
				for i := range plan.Stages {
					plan.Stages[i].Parallel = 40 // the plan is tested, not the pace
				}
				if err := fleet.Apply(t.Context(), w.many(), w.spec, w.intent(fleet.Intent{}), st, plan, nil); err != nil {
					t.Fatalf("%d droplets: Apply: %v", n, err)
				}
			}
			life = append(life, shape(t, w.samePlan(t, w.observed(t), fleet.Intent{Down: true})))
			lives[n] = life

			w.calls()
			st := w.observed(t)
			if got, which := w.calls(); got > 5 {
				t.Errorf("status of %d droplets: got %d calls %v, want at most 5", n, got, which)
			}
			in := w.intent(fleet.Intent{})
			o, err := fleet.Converge(t.Context(), w.many(), w.spec, in, w.observed(t), fleet.Diff(w.spec, st, in), nil)
			if err != nil || !o.Settled() {
				t.Errorf("up of %d droplets: got error %v and outcome %+v, want nothing to do", n, err, o.Plan)
			}
			if got, which := w.calls(); got > 8 {
				t.Errorf("up of %d droplets with nothing to do: got %d calls %v, want at most 8", n, got, which)
			}
		})
	}
	if few, many := lives[3], lives[200]; !slices.Equal(few, many) {
		t.Errorf("the plans differ: got for 200 droplets\n%s\nwant those for 3\n%s", strings.Join(many, "\n"), strings.Join(few, "\n"))
	}
	t.Logf("the plans for 3 and for 200:\n%s", strings.Join(lives[200], "\n"))
}

// intent is in with the relay that boxes get.
func (w *world) intent(in fleet.Intent) fleet.Intent {
	in.Release = w.rel
	return in
}

// samePlan plans several times, and fails the test unless all plans have the same bytes.
func (w *world) samePlan(t *testing.T, st fleet.State, in fleet.Intent) fleet.Plan {
	t.Helper()
	var first []byte
	for range 3 {
		text, err := json.Marshal(fleet.Diff(w.spec, st, w.intent(in)))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		}
		if !bytes.Equal(first, text) {
			t.Fatalf("Diff of the same state: got\n%s\nwant the same as before\n%s", text, first)
		}
	}
	return fleet.Diff(w.spec, st, w.intent(in))
}

// shape is what a plan does to each node, whichever and how many they are, and to the
// fleet. Nodes to which it does different things are an error.
func shape(t *testing.T, p fleet.Plan) string {
	t.Helper()
	var lines []string
	for _, s := range p.Stages {
		var about, fleetwide []string
		nodes := make(map[string][]string)
		for _, c := range s.Changes {
			if word := string(c.Action) + " " + c.Ref.Kind; c.Ref.Kind == fleet.KindFleet {
				fleetwide = append(fleetwide, word)
			} else if words := nodes[c.Ref.Node]; !slices.Contains(words, word) { // a node may have records at several names
				nodes[c.Ref.Node] = append(words, word)
			}
		}
		for node, words := range nodes {
			if about != nil && !slices.Equal(about, words) {
				t.Errorf("stage %s: got for %s %q, want as for the other nodes %q", s.Name, node, words, about)
			}
			about = words
		}
		parallel := fmt.Sprint(s.Parallel)
		if s.Parallel == len(s.Changes) {
			parallel = "all"
		}
		lines = append(lines, fmt.Sprintf("%s, %s at once: each node %q, the fleet %q", s.Name, parallel, about, fleetwide))
	}
	waiting := []string{}
	for _, d := range p.Deferred {
		waiting = append(waiting, string(d.Action)+" "+d.Ref.Kind)
	}
	slices.Sort(waiting)
	return strings.Join(append(lines, fmt.Sprintf("later: %q", slices.Compact(waiting))), "; ")
}

func TestScale_DropletsThatAreWaitedForAreListedEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, boots = 8, 3 * time.Minute
		w := newFleetOf(t, n)
		w.boxes.Boots = boots
		var mu sync.Mutex // requests come at once
		var ordered, last time.Time
		orders, lists := 0, 0
		w.cloud.Around(func(_ int, r *http.Request, commit func()) bool {
			defer commit()
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			switch {
			case r.Method == http.MethodPost && r.URL.Path == "/v2/droplets":
				ordered = now
				orders++
			case r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v2/droplets"):
			case orders < n || now.After(ordered.Add(boots-5*time.Second)):
			default: // nothing but the wait for all of them
				if lists++; !last.IsZero() && now.Sub(last) < 5*time.Second {
					t.Errorf("%s %s came %s after the one before, want at least 5s", r.Method, r.URL, now.Sub(last))
				}
				last = now
			}
			return true
		})
		must(t, "up", w, fleet.Intent{})
		if most := int(boots / (5 * time.Second)); lists == 0 || lists > most {
			t.Errorf("while %d droplets booted for %s: got %d lists, want 1 to %d: one for all of them every 5s", n, boots, lists, most)
		}
	})
}

func TestScale_AReplacementCostsTheSameInAnyFleet(t *testing.T) {
	const most = 65
	for _, n := range []int{3, 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newFleetOf(t, n)
			w.bought(t, nil)
			must(t, "up", w, fleet.Intent{})
			w.calls()
			must(t, "replace", w, fleet.Intent{Replace: []string{w.machineOf("nyc1-1")}})
			if got, which := w.calls(); got > most {
				t.Errorf("replacing 1 of %d droplets: got %d calls %v, want at most %d", n, got, which, most)
			}
		})
	}
}

// Two phases, a note, the delete, its proof, and the tags that were the droplet's alone.
func TestScale_TakingDownIsBoundedByDroplet(t *testing.T) {
	for _, n := range []int{3, 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newFleetOf(t, n)
			w.bought(t, nil)
			must(t, "up", w, fleet.Intent{})
			w.calls()
			must(t, "down", w, fleet.Intent{Down: true})
			if got, which := w.calls(); got > 20*n+40 {
				t.Errorf("down of %d droplets: got %d calls %v, want at most %d", n, got, which, 20*n+40)
			}
		})
	}
}

// 1,000 droplets are five pages, and the rate is kept: four requests a second after forty.
func TestScale_1000DropletsAreReadPageByPageWithinTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, looks, burstOfCalls = 1000, 12, 40
		w := newFleetOf(t, n)
		w.bought(t, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 19, byte(i / 250), byte(i%250 + 1)}) })
		b := w.many()
		w.calls()
		began := time.Now()
		st, err := fleet.Observe(t.Context(), b, w.spec)
		if err != nil || st.Machines.Err != nil {
			t.Fatalf("Observe: got errors %v, %v", err, st.Machines.Err)
		}
		seen := make(map[string]bool)
		for _, m := range st.Machines.Value {
			seen[m.Node] = true
		}
		if len(seen) != n || len(st.Machines.Value) != n {
			t.Fatalf("got %d machines of %d nodes, want %d", len(st.Machines.Value), len(seen), n)
		}
		for range looks - 1 {
			if _, err := b.Provider.Machines(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(began)
		pages := make(map[string]int)
		for _, q := range w.cloud.Requests() {
			if q.Path == "/v2/droplets" {
				pages[q.Query]++
			}
			if q.Status != http.StatusOK {
				t.Errorf("%s %s?%s: got status %d, want 200", q.Method, q.Path, q.Query, q.Status)
			}
		}
		if len(pages) != n/200 {
			t.Errorf("got pages %v, want %d different ones", pages, n/200)
		}
		total, which := w.calls()
		if most := looks*n/200 + 2; total > most {
			t.Errorf("%d looks: got %d calls %v, want at most %d", looks, total, which, most)
		}
		if least := time.Duration(total-burstOfCalls) * time.Second / 4; took < least {
			t.Errorf("%d calls took %s, want at least %s: %d at once, then 4 a second", total, took, least, burstOfCalls)
		}
	})
}
