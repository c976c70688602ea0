package digitalocean

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// A create that is not answered must buy once, whatever happened to it.
func TestCreate_AnAmbiguousOrderBuysExactlyOneDroplet(t *testing.T) {
	for name, how := range map[string]dotest.How{
		"500 before": dotest.ErrorBefore, "500 after": dotest.ErrorAfter,
		"502 before": dotest.BadGatewayBefore, "502 after": dotest.BadGatewayAfter,
		"reset before": dotest.ResetBefore, "reset after": dotest.ResetAfter,
		"silence before": dotest.HangBefore, "silence after": dotest.HangAfter,
	} {
		for _, slow := range []dotest.Lag{{}, {Wait: 40 * time.Second}} {
			t.Run(fmt.Sprintf("%s, tags after %s", name, slow.Wait), func(t *testing.T) {
				bubble(t, dotest.Config{Boot: dotest.Lag{Wait: 20 * time.Second}, Tag: slow}, func(t *testing.T, r *rig) {
					r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: how})
					var waited []string
					n := order("nyc1-1")
					n.Waiting = func(what string) { waited = append(waited, what) }
					m := create(t, r.ready(), n)
					r.alone(m)
					if len(r.Droplets(dotest.DefaultToken)) != 1 {
						t.Errorf("got %d droplets, want 1", len(r.Droplets(dotest.DefaultToken)))
					}
					if !slices.Contains(waited, waitOrder) || !slices.Contains(waited, waitActive) {
						t.Errorf("got waits %q, want %s and %s", waited, waitOrder, waitActive)
					}
				})
			})
		}
	}
}

func TestCreate_TwoAmbiguousOrdersBuyAtMostOneDroplet(t *testing.T) {
	for _, how := range []dotest.How{dotest.ResetBefore, dotest.ResetAfter, dotest.ErrorAfter} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, Times: 2, How: how})
			m, err := r.ready().Create(t.Context(), order("nyc1-1"))
			if how == dotest.ResetBefore {
				wantErr(t, "two orders that did nothing", err, nil, "not known whether the order was carried out", "seabird-nyc1-1-")
			} else {
				must(t, "Create", err)
				r.alone(m)
			}
			if got, most := r.count(postDroplet), 2; got > most || len(r.Droplets(dotest.DefaultToken)) > 1 {
				t.Errorf("got %d orders and %d droplets, want at most %d and 1", got, len(r.Droplets(dotest.DefaultToken)), most)
			}
		})
	}
}

// The first order shows up after everybody stopped looking for it.
func TestCreate_AnOrderCarriedOutTwiceLeavesTheFirstDroplet(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		var late func()
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.Serve})
		r.Around(func(_ int, q *http.Request, commit func()) bool {
			if q.Method != http.MethodPost || q.URL.Path != dropletsPath {
				return true
			}
			if late == nil {
				late = commit
				<-q.Context().Done() // and nothing is there for minutes
				return false
			}
			late()
			return true
		})
		m := create(t, r.ready(), order("nyc1-1"))
		r.alone(m)
		if got := r.count(postDroplet); got != 2 {
			t.Errorf("got %d orders, want 2", got)
		}
	})
}

func TestCreate_APostIsNotSentAgainAfterA5xxOrAReset(t *testing.T) {
	for _, how := range []dotest.How{dotest.BadGatewayAfter, dotest.ErrorAfter, dotest.ResetAfter, dotest.HangAfter} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, Times: -1, How: how})
			m := create(t, r.ready(), order("nyc1-1"))
			r.alone(m)
			if got := r.count(postDroplet); got != 1 {
				t.Errorf("fault %d: got %d POSTs, want 1", how, got)
			}
		})
	}
}

func TestCreate_APostIsSentAgainAfterA429(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, Times: 2, How: dotest.Busy})
		m := create(t, r.ready(), order("nyc1-1"))
		r.alone(m)
		if got := r.count(postDroplet); got != 3 {
			t.Errorf("got %d POSTs, want 3: two refused, one done", got)
		}
	})
}

// Names are not unique: what has another operation's tag is somebody else's.
func TestCreate_ADropletOfTheSameNameIsNotTakenForOurs(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		n := order("nyc1-1")
		p := r.ready()
		theirs := r.stranger(p.dropletName(n), "fleet:seabird", "fleetid:7f3a9c", "slot:nyc1-1", "op:00000000000000000000000000")
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.ErrorBefore})
		m := create(t, p, n)
		if m.ID == theirs {
			t.Fatalf("got the droplet of another operation")
		}
		if got := len(r.list()); got != 2 {
			t.Errorf("got %d machines, want 2", got)
		}
	})
}

func TestCreate_ADropletThatIsNotPlacedIsAnErrorAndLeavesNoTags(t *testing.T) {
	bubble(t, dotest.Config{Boot: dotest.Lag{Wait: 10 * time.Second}}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.Misplaced})
		_, err := r.ready().Create(t.Context(), order("nyc1-1"))
		wantErr(t, "Create", err, nil, "could not be placed", "another region")
		for _, tag := range r.tags() {
			if hasKind(tag, tagOp) || hasKind(tag, tagHostKey) {
				t.Errorf("got tag %s left, want none of a droplet that never was", tag)
			}
		}
		if got := r.count(postDroplet); got != 1 {
			t.Errorf("got %d orders, want 1", got)
		}
	})
}

func TestCreate_ADropletThatNeverBecomesActiveIsAnErrorAfterTenMinutes(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.NeverActive})
		begin := time.Now()
		_, err := r.ready().Create(t.Context(), order("nyc1-1"))
		wantErr(t, "Create", err, nil, waitActive, `"new"`, "10m0s")
		if d := time.Since(begin); d < 10*time.Minute || d > 11*time.Minute {
			t.Errorf("got %s, want 10 minutes", d)
		}
		if got := len(r.list()); got != 1 {
			t.Errorf("got %d machines, want the one that is waited for", got)
		}
	})
}

func TestCreate_ADropletThatNeverShowsItsTagsGetsThemAgain(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.NeverTagged})
		m := create(t, r.ready(), order("nyc1-1"))
		r.alone(m)
		if got := r.list()[0].Labels; !slices.Equal(got, []string{"relay"}) {
			t.Errorf("got labels %q, want the operator's tag", got)
		}
	})
}

// What a create sends: one name, a whole region slug, and every mark of the machine.
func TestCreate_OrdersOneDropletWithItsMarks(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		var sent map[string]any
		r.wire.seen = func(q *http.Request) {
			if q.Method == http.MethodPost && q.URL.Path == dropletsPath {
				body, _ := q.GetBody()
				text, _ := io.ReadAll(body)
				_ = json.Unmarshal(text, &sent)
			}
		}
		n := order("nyc1-1")
		m := create(t, r.ready(), n)
		short := strings.ToLower(n.Op[:8])
		if sent["names"] != nil || sent["name"] != "seabird-nyc1-1-"+short {
			t.Errorf("got names %v, name %v, want none and seabird-nyc1-1-%s", sent["names"], sent["name"], short)
		}
		if sent["region"] != "nyc1" || sent["size"] != "s-1vcpu-1gb" || sent["image"] != "debian-12-x64" ||
			sent["ipv6"] != true || sent["monitoring"] != true || sent["backups"] != false {
			t.Errorf("got order %v", sent)
		}
		hex := ""
		for _, tag := range sent["tags"].([]any) {
			if value, ok := strings.CutPrefix(tag.(string), tagHostKey); ok {
				hex = value
			}
		}
		want := []string{"fence:seabird", "fleet:seabird", "fleetid:7f3a9c", "hostkey:" + hex, "op:" + strings.ToLower(n.Op), "relay", "slot:nyc1-1"}
		var got []string
		for _, tag := range sent["tags"].([]any) {
			got = append(got, tag.(string))
		}
		if !slices.Equal(sorted(got), want) || len(hex) != 64 {
			t.Errorf("got tags %q, want %q", sorted(got), want)
		}
		if keys := sent["ssh_keys"].([]any); len(keys) != 1 {
			t.Errorf("got keys %v, want the operator's", keys)
		}
		if !strings.Contains(sent["user_data"].(string), operatorKey) {
			t.Errorf("got user_data %q, want one that lets the operator's key in", sent["user_data"])
		}
		if m.Op != n.Op || m.User != fleet.LoginUser || !m.Sudo || m.Ports != (fleet.Ports{SSH: 22}) || len(m.Addrs) != 2 || !m.Addrs[0].Is4() {
			t.Errorf("got machine %+v", m)
		}
	})
}

func TestCreate_RefusesUserDataBeyond64KiBBeforeItIsSent(t *testing.T) {
	for size, ok := range map[int]bool{mostUserData: true, mostUserData + 1: false} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.ready()
			p.cfg.Bootstrap = func([]string) (string, string, error) { return strings.Repeat("#", size), keyOf(1), nil }
			_, err := p.Create(t.Context(), order("nyc1-1"))
			if ok {
				must(t, "64 KiB", err)
				return
			}
			wantErr(t, "64 KiB and a byte", err, nil, "65537", "65536")
			if got := r.count(postDroplet); got != 0 {
				t.Errorf("got %d orders, want none", got)
			}
		})
	}
}

func TestCreate_RefusesAnOrderThatNobodyCouldReach(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		_, err := r.provider(nil).Create(t.Context(), order("nyc1-1"))
		wantErr(t, "without a key", err, nil, "no SSH key")
		for what, n := range map[string]fleet.NewMachine{
			"no region":        {Node: "nyc1-1", Op: order("nyc1-1").Op},
			"no node":          {Region: "nyc1", Op: order("nyc1-1").Op},
			"no operation":     {Node: "nyc1-1", Region: "nyc1"},
			"a lower-case one": {Node: "nyc1-1", Region: "nyc1", Op: strings.ToLower(order("nyc1-1").Op)},
		} {
			if _, err := r.ready().Create(t.Context(), n); err == nil {
				t.Errorf("%s: got no error", what)
			}
		}
		if got := r.count(postDroplet); got != 0 {
			t.Errorf("got %d orders, want none", got)
		}
	})
}

func TestCreate_SaysHowFullTheAccountIs(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1}}}, func(t *testing.T, r *rig) {
		r.stranger("other")
		r.ResetCalls()
		_, err := r.ready().Create(t.Context(), order("nyc1-1"))
		wantErr(t, "Create", err, fleet.ErrQuota, "1 of 1 droplets", "droplet limit", "request ")
		if got := r.count(postDroplet); got != 1 {
			t.Errorf("got %d orders, want 1: a limit is no reason to try again", got)
		}
	})
}

func TestCreate_SaysThatARegionIsSoldOut(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.Fail(dotest.Fault{Method: "POST", Path: dropletsPath, How: dotest.SoldOut})
		_, err := r.ready().Create(t.Context(), order("nyc1-1"))
		wantErr(t, "Create", err, nil, "s-1vcpu-1gb in nyc1", "another region")
	})
}

func TestCreate_AKeyThatIsGoneFromTheAccountIsRegisteredAgain(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		k := p.keys
		for _, known := range k {
			r.do("DELETE", "/v2/account/keys/"+strconv.Itoa(known.id), "")
		}
		_, err := p.Create(t.Context(), order("nyc1-1"))
		wantErr(t, "Create", err, nil, "422 unprocessable_entity", "run the same command again")
		must(t, "EnsureKey", p.EnsureKey(t.Context(), operatorKey))
		r.alone(create(t, p, order("nyc1-1")))
	})
}

// All that is waited for at once is looked at in one list, a second after the orders and then every five.
func TestCreate_PollsForAllTogetherEveryFiveSeconds(t *testing.T) {
	bubble(t, dotest.Config{Boot: dotest.Lag{Wait: 60 * time.Second}}, func(t *testing.T, r *rig) {
		p := r.ready()
		r.ResetCalls()
		var mu sync.Mutex // requests come at once
		var polls []time.Time
		r.wire.seen = func(q *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if q.Method == http.MethodGet && q.URL.Path == dropletsPath && r.count(postDroplet) == 8 {
				polls = append(polls, time.Now())
			}
		}
		var g errgroup.Group
		for i := range 8 {
			g.Go(func() error {
				_, err := p.Create(t.Context(), order(fmt.Sprintf("nyc1-%d", i+1)))
				return err
			})
		}
		must(t, "Create", g.Wait())
		if got, most := len(polls), 1+60/5; got > most || got == 0 {
			t.Fatalf("got %d lists in a minute, want 1 to %d", got, most)
		}
		for i := range polls[1:] {
			if apart := polls[i+1].Sub(polls[i]); apart < 5*time.Second {
				t.Errorf("list %d came %s after the one before, want at least 5s", i+2, apart)
			}
		}
		if got := r.count(oneDroplet); got > 8 {
			t.Errorf("got %d reads of single droplets, want at most one each", got)
		}
	})
}

func TestCreate_CancelledWhileItWaitsLeavesTheDropletToBeFound(t *testing.T) {
	bubble(t, dotest.Config{Boot: dotest.Lag{Wait: time.Hour}}, func(t *testing.T, r *rig) {
		p := r.ready()
		ctx, cancel := contextOf(t)
		done := make(chan error, 1)
		go func() { _, err := p.Create(ctx, order("nyc1-1")); done <- err }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, ctx.Err()) {
			t.Errorf("got %v, want %v", err, ctx.Err())
		}
		if ms := r.list(); len(ms) != 1 || ms[0].Status != fleet.StatusPending || ms[0].Node != "nyc1-1" {
			t.Errorf("got %+v, want one pending machine", ms)
		}
	})
}
