package digitalocean

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

func TestQuote_NamesThePricesOfTheAPI(t *testing.T) {
	bubble(t, dotest.Config{Prices: map[string]float64{"s-1vcpu-1gb": 7.5}}, func(t *testing.T, r *rig) {
		p := r.ready()
		m := create(t, p, order("nyc1-1"))
		r.add("database")
		r.ResetCalls()
		q, err := p.Quote(t.Context(), []fleet.NewMachine{{Node: "sgp1-1", Region: "sgp1"}, {Node: "fra1-1", Region: "fra1"}})
		must(t, "Quote", err)
		now := []fleet.PriceLine{{Node: "nyc1-1", ID: m.ID, What: "s-1vcpu-1gb in nyc1", Monthly: 7.5, Transfer: 1e12}}
		buy := []fleet.PriceLine{{Node: "sgp1-1", What: "s-1vcpu-1gb in sgp1", Monthly: 7.5, Transfer: 1e12}, {Node: "fra1-1", What: "s-1vcpu-1gb in fra1", Monthly: 7.5, Transfer: 1e12}}
		if q.Currency != "USD" || q.Used != 2 || q.Limit != 25 || !slices.Equal(q.Now, now) || !slices.Equal(q.Buy, buy) {
			t.Errorf("got %+v, want now %+v, buy %+v, 2 of 25 used", q, now, buy)
		}
		if got := writes(r); got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

func TestQuote_APriceThatIsNotKnownIsNotTakenForNothing(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		tags := []string{"fleet:" + r.spec.Name, "fleetid:" + r.spec.ID, "slot:nyc1-1"}
		_, err := r.AddDroplet(t.Context(), dotest.DefaultToken, dotest.Machine{Name: "old", Size: "g-not-sold-any-more", Tags: tags})
		must(t, "AddDroplet", err)
		q, err := r.provider(nil).Quote(t.Context(), nil)
		must(t, "Quote", err)
		if len(q.Now) != 1 || !strings.Contains(q.Now[0].What, "price not known") {
			t.Errorf("got %+v, want a line that says that its price is not known", q.Now)
		}
		buy := []fleet.NewMachine{order("fra1-1")}
		_, err = r.provider(nil).Quote(t.Context(), buy)
		must(t, "Quote without a bound", err)
		r.spec.Ocean.MaxMonthly = 100
		_, err = r.provider(nil).Quote(t.Context(), buy)
		wantErr(t, "Quote within max_monthly", err, nil, "g-not-sold-any-more", "max_monthly")
	})
	bubble(t, dotest.Config{Prices: map[string]float64{"s-1vcpu-1gb": 0}}, func(t *testing.T, r *rig) {
		buy := []fleet.NewMachine{order("fra1-1")}
		q, err := r.provider(nil).Quote(t.Context(), buy)
		must(t, "Quote of an order without a bound", err)
		if len(q.Buy) != 1 || !strings.Contains(q.Buy[0].What, "price not known") {
			t.Errorf("got %+v, want a line that says that its price is not known", q.Buy)
		}
		r.spec.Ocean.MaxMonthly = 100
		_, err = r.provider(nil).Quote(t.Context(), buy)
		wantErr(t, "Quote of an order within max_monthly", err, nil, "fra1-1", "max_monthly")
	})
}

// What cannot be bought is said before anything is.
func TestQuote_RefusesWhatIsNotToBeHad(t *testing.T) {
	for _, tc := range []struct {
		region, size, image string
		words               []string
	}{
		{"nyc2", "s-1vcpu-1gb", "debian-12-x64", []string{`no region "nyc2"`, "the nearest region is nyc1"}},
		{"sfo2", "s-1vcpu-1gb", "debian-12-x64", []string{"region sfo2 takes no new droplets", "another region"}},
		{"nyc1", "s-1vcpu-1bg", "debian-12-x64", []string{`no size "s-1vcpu-1bg"`, "the nearest size is s-1vcpu-1gb"}},
		{"nyc1", "512mb", "debian-12-x64", []string{"size 512mb is not sold any more", "digitalocean.size"}},
		{"lon1", "s-1vcpu-512mb-10gb", "debian-12-x64", []string{"not to be had in lon1", "ams3, fra1, nyc1"}},
		{"nyc1", "s-1vcpu-1gb", "debian-21-x64", []string{`no image "debian-21-x64"`, "the nearest image is debian-1"}},
	} {
		t.Run(tc.words[0], func(t *testing.T) {
			bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
				r.spec.Ocean.Size, r.spec.Ocean.Image = tc.size, tc.image
				_, err := r.provider(nil).Quote(t.Context(), []fleet.NewMachine{order(tc.region + "-1")})
				wantErr(t, "Quote", err, nil, tc.words...)
			})
		})
	}
}

// What goes with an order, and before it, is looked at before a machine is given up for it.
func TestQuote_RefusesWhatCouldNotBeOrdered(t *testing.T) {
	for what, tc := range map[string]struct {
		spoil func(*rig, *Config)
		words []string
	}{
		"a SHA256 fingerprint": {func(_ *rig, c *Config) { c.Spec.Ocean.SSHKeys = []string{"SHA256:" + strings.Repeat("a", 43)} }, []string{"no SSH key SHA256:aaa"}},
		"an MD5 fingerprint": {
			func(_ *rig, c *Config) { c.Spec.Ocean.SSHKeys = []string{strings.Repeat("ab:", 15) + "ab"} }, []string{"no SSH key ab:ab"},
		},
		"no key":    {func(_ *rig, c *Config) { c.Keys = []string{"-----BEGIN"} }, []string{"not a public key", ".pub"}},
		"user_data": {func(_ *rig, c *Config) { c.Keys, c.Bootstrap = []string{keyOf(2)}, tooMuch }, []string{"65537", "65536"}},
		"a firewall with five tags": {func(r *rig, _ *Config) {
			for i := range 5 {
				r.do("POST", "/v2/tags", fmt.Sprintf(`{"name":"web%d"}`, i))
			}
			r.do("POST", "/v2/firewalls", `{"name":"fleetctl-seabird","tags":["web0","web1","web2","web3","web4"],"inbound_rules":[{"protocol":"icmp","sources":{"addresses":["::/0"]}}]}`)
		}, []string{"5 tags beside ours"}},
		"a firewall before what may be others'": {func(r *rig, _ *Config) { r.add("x", "fleet:seabird", "fence:seabird", "slot:nyc1-9") }, []string{"it would close ports of droplet"}},
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.provider(func(c *Config) { tc.spoil(r, c) })
			before := writes(r)
			_, err := p.Quote(t.Context(), []fleet.NewMachine{order("nyc1-1")})
			wantErr(t, what, err, nil, tc.words...)
			if got := writes(r) - before; got != 0 {
				t.Errorf("%s: got %d writes, want none", what, got)
			}
			if _, err := p.Quote(t.Context(), nil); err != nil {
				t.Errorf("%s: nothing is bought, got error %v", what, err)
			}
		})
	}
}

// The fleet's own key is made by the first up: a plan before has none.
func TestQuote_NeedsNoKeyBeforeTheFirstUp(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.provider(func(c *Config) {
			c.Keys, c.Bootstrap = nil, func([]string) (string, string, error) { return "", "", errors.New("no SSH key") }
		})
		if _, err := p.Quote(t.Context(), []fleet.NewMachine{order("nyc1-1")}); err != nil {
			t.Errorf("got error %v, want a quote", err)
		}
	})
}

func tooMuch([]string) (userData, hostKey string, err error) {
	return strings.Repeat("#", mostUserData+1), keyOf(1), nil
}

func TestQuote_LeavesTheLimitToTheCaller(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 3}}}, func(t *testing.T, r *rig) {
		r.add("a")
		r.add("b")
		q, err := r.provider(nil).Quote(t.Context(), []fleet.NewMachine{order("nyc1-1"), order("fra1-1")})
		must(t, "Quote", err)
		if q.Room() != 1 {
			t.Errorf("got room for %d, want 1", q.Room())
		}
		_, err = fleet.Intent{}.Fit(q, false)
		wantErr(t, "Fit", err, fleet.ErrQuota, "may have 3 machines and has 2")
	})
}

func TestCalls_OfAnObservationDoNotGrowWithTheFleet(t *testing.T) {
	bubble(t, dotest.Config{Accounts: []dotest.Account{{Token: dotest.DefaultToken, DropletLimit: 1000}}}, func(t *testing.T, r *rig) {
		observe := func(what string, most int) {
			r.ResetCalls()
			p := r.provider(nil)
			_, err := p.Machines(t.Context())
			must(t, "Machines", err)
			_, err = p.Leftovers(t.Context())
			must(t, "Leftovers", err)
			_, err = p.Drift(t.Context())
			must(t, "Drift", err)
			if got := total(r); got > most {
				t.Errorf("%s: got %d calls %v, want at most %d", what, got, r.Calls(), most)
			}
		}
		observe("no fleet", 5)
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		for i := range 200 {
			r.add(fmt.Sprintf("seabird-nyc1-%d-01jdv6zz", i+1), ourTags(fmt.Sprintf("nyc1-%d", i+1), i)...)
		}
		observe("200 droplets", 3)
	})
}

func total(r *rig) int {
	n := 0
	for _, times := range r.Calls() {
		n += times
	}
	return n
}

// What Apply asks of a provider for each new machine: a create, a list, and the change of
// its host key.
func TestCalls_OfNewMachinesAreFiveEachAndPolls(t *testing.T) {
	for _, n := range []int{1, 3, 12} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.provider(nil)
			must(t, "EnsureKey", p.EnsureKey(t.Context(), operatorKey))
			must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
			for i := range n {
				m := create(t, p, order(fmt.Sprintf("nyc1-%d", i+1)))
				_, err := p.Machines(t.Context())
				must(t, "Machines", err)
				must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkHostKey: m.HostKey + "\n" + keyOf(byte(i))}, nil))
				must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkHostKey: keyOf(byte(i))}, nil))
			}
			written := writes(r)
			if got, most := written, 4*n+4; got > most {
				t.Errorf("%d machines: got %d writes, want at most %d", n, got, most)
			}
			if got, most := total(r), 9*n+8; got > most {
				t.Errorf("%d machines one by one: got %d calls %v, want at most %d", n, got, r.Calls(), most)
			}
		})
	}
}

func TestErrors_AreOnePrintableLine(t *testing.T) {
	got := clean("a\x1b[2J\nb\u202e" + strings.Repeat("x", 1000))
	if strings.ContainsAny(got, "\x1b\n\u202e") || len([]rune(got)) != mostSaid+1 {
		t.Errorf("got %q", got)
	}
}
