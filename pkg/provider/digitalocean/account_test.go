package digitalocean

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
)

// wall is a firewall as the account shows it.
type wall struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Tags     []string `json:"tags"`
	Droplets []int    `json:"droplet_ids"`
	Inbound  []struct {
		Protocol string `json:"protocol"`
		Ports    string `json:"ports"`
		Sources  struct {
			Addresses []string `json:"addresses"`
		} `json:"sources"`
	} `json:"inbound_rules"`
	Outbound []struct {
		Protocol string `json:"protocol"`
		Ports    string `json:"ports"`
	} `json:"outbound_rules"`
}

func (r *rig) walls() []wall {
	r.t.Helper()
	var form struct {
		Firewalls []wall `json:"firewalls"`
	}
	decode(r.t, r.do("GET", "/v2/firewalls", ""), &form)
	return form.Firewalls
}

func (w wall) rules() []string {
	var out []string
	for _, in := range w.Inbound {
		out = append(out, fmt.Sprintf("in %s %s %s", in.Protocol, in.Ports, strings.Join(in.Sources.Addresses, " ")))
	}
	for _, o := range w.Outbound {
		out = append(out, fmt.Sprintf("out %s %s", o.Protocol, o.Ports))
	}
	return sorted(out)
}

func writes(r *rig) int {
	n := 0
	for call, times := range r.Calls() {
		if !strings.HasPrefix(call, "GET ") {
			n += times
		}
	}
	return n
}

// The firewall of the fleet that is replaced, with our own transports beside.
func TestFirewall_LetsInWhatRelaysServeAndNothingElse(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.spec.Relay.WSPort = 443
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		all := r.walls()
		want := []string{
			"in icmp 0 0.0.0.0/0 ::/0", "in tcp 22 0.0.0.0/0 ::/0", "in tcp 443 0.0.0.0/0 ::/0", "in tcp 9100 0.0.0.0/0 ::/0", "in udp 9101 0.0.0.0/0 ::/0",
			"out icmp 0", "out tcp 0", "out udp 0",
		}
		if len(all) != 1 || all[0].Name != "fleetctl-seabird" || !slices.Equal(all[0].rules(), want) {
			t.Fatalf("got %+v, want fleetctl-seabird with %q", all, want)
		}
		if !slices.Equal(all[0].Tags, []string{"fence:seabird"}) || len(all[0].Droplets) != 0 {
			t.Errorf("got tags %q and droplets %v, want its own tag alone", all[0].Tags, all[0].Droplets)
		}
	})
}

// Tag, then firewall, then droplet: a firewall names only tags that exist.
func TestFirewall_ComesAfterItsTagAndBeforeAnyDroplet(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		r.ResetCalls()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		create(t, p, order("nyc1-1"))
		var made []string
		for _, q := range r.Requests() {
			if q.Method == "POST" {
				made = append(made, q.Template)
			}
		}
		if want := []string{"/v2/tags", "/v2/tags", "/v2/firewalls", "/v2/droplets"}; !slices.Equal(made, want) {
			t.Errorf("got POSTs %q, want %q", made, want)
		}
	})
}

// By ID a firewall takes ten droplets; by tag any number.
func TestFirewall_CoversTheEleventhDropletByTag(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		var g errgroup.Group
		for i := range 12 {
			g.Go(func() error {
				_, err := p.Create(t.Context(), order(fmt.Sprintf("nyc1-%d", i+1)))
				return err
			})
		}
		must(t, "Create", g.Wait())
		for _, m := range r.list() {
			if text := r.do("GET", "/v2/droplets/"+m.ID+"/firewalls", ""); !strings.Contains(text, "fleetctl-seabird") {
				t.Errorf("droplet %s: got firewalls %s, want ours", m.Node, text)
			}
		}
		if got := r.walls()[0].Droplets; len(got) != 0 {
			t.Errorf("got droplets %v attached by ID, want none", got)
		}
	})
}

func TestFirewall_ThatIsRightIsNotWritten(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		before := writes(r)
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		drift, err := r.provider(nil).Drift(t.Context())
		if err != nil || drift == nil || len(drift) != 0 {
			t.Errorf("got drift %+v and error %v, want none", drift, err)
		}
		if got := writes(r) - before; got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

// A PUT takes away what it does not name.
func TestFirewall_IsPutRightAndKeepsWhatOthersAttached(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		create(t, r.ready(), order("nyc1-1"))
		id, _ := strconv.Atoi(r.add("database", "blue"))
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		right := r.walls()[0]
		r.do("PUT", "/v2/firewalls/"+right.ID, fmt.Sprintf(`{"name":"fleetctl-seabird","tags":["blue"],"droplet_ids":[%d],
			"inbound_rules":[{"protocol":"tcp","ports":"9847","sources":{"addresses":["0.0.0.0/0"]}}]}`, id))
		drift, err := r.provider(nil).Drift(t.Context())
		must(t, "Drift", err)
		if len(drift) != 2 || drift[0].Name != "firewall rules" || drift[0].Fix != fleet.FixInPlace ||
			drift[0].From != "in tcp 9847 for 0.0.0.0/0" || !strings.Contains(drift[0].To, "in tcp 9100") || drift[1].From != "without fence:seabird" {
			t.Errorf("got drift %+v", drift)
		}
		must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
		now := r.walls()[0]
		if !slices.Equal(now.rules(), right.rules()) {
			t.Errorf("got rules %q, want %q", now.rules(), right.rules())
		}
		if !slices.Equal(sorted(now.Tags), []string{"blue", "fence:seabird"}) || !slices.Equal(now.Droplets, []int{id}) {
			t.Errorf("got tags %q and droplets %v, want those of others kept", now.Tags, now.Droplets)
		}
		wantErr(t, "Cleanup with a machine", r.provider(nil).Cleanup(t.Context()), nil, "1 machines are listed")
		must(t, "Delete", r.provider(nil).Delete(t.Context(), r.list()[0].ID))
		wantErr(t, "Cleanup", r.provider(nil).Cleanup(t.Context()), nil, "also protects 1 droplets", `"blue"`, "firewall of their own")
		if got := len(r.walls()); got != 1 {
			t.Errorf("got %d firewalls, want the one that protects others left", got)
		}
	})
}

func TestFirewall_WithFiveTagsOfOthersIsAnError(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		for i := range 5 {
			r.do("POST", "/v2/tags", fmt.Sprintf(`{"name":"t%d"}`, i))
		}
		r.do("POST", "/v2/firewalls", `{"name":"fleetctl-seabird","tags":["t0","t1","t2","t3","t4"],
			"inbound_rules":[{"protocol":"icmp","ports":"0","sources":{"addresses":["0.0.0.0/0"]}}]}`)
		wantErr(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()), nil, "5 tags beside ours", "take the tags of others off it")
	})
}

func TestFirewall_IsMadeOnceWhateverHappensToItsOrder(t *testing.T) {
	for _, how := range []dotest.How{dotest.ErrorAfter, dotest.ResetAfter, dotest.ErrorBefore, dotest.HangAfter, dotest.BadGatewayAfter} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			r.Fail(dotest.Fault{Method: "POST", Path: "/v2/firewalls", How: how})
			must(t, "EnsureFirewall", r.provider(nil).EnsureFirewall(t.Context()))
			if got := len(r.walls()); got != 1 {
				t.Errorf("fault %d: got %d firewalls, want 1", how, got)
			}
		})
	}
}

// Two operators at once: the second one's POST is a 409.
func TestFirewall_ThatSomebodyElseJustMadeIsTaken(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		var g errgroup.Group
		for range 4 {
			p := r.provider(nil)
			g.Go(func() error { return p.EnsureFirewall(t.Context()) })
		}
		must(t, "EnsureFirewall", g.Wait())
		if got := len(r.walls()); got != 1 {
			t.Errorf("got %d firewalls, want 1", got)
		}
	})
}

func TestDrift_OfAFirewallThatIsMissingIsAllOfItsRules(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		create(t, r.ready(), order("nyc1-1"))
		drift, err := r.provider(nil).Drift(t.Context())
		if err != nil || len(drift) != 1 || drift[0].From != "none" || drift[0].Fix != fleet.FixInPlace {
			t.Errorf("got %+v and error %v, want one difference from none", drift, err)
		}
	})
}

// The list of keys may be read ten times a minute.
func TestEnsureKey_ManyTimesListsNoKeys(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		for range 12 {
			r.ready()
		}
		if got := r.count("GET /v2/account/keys"); got != 0 {
			t.Errorf("got %d lists of keys, want none", got)
		}
		if got := r.count("POST /v2/account/keys"); got != 1 {
			t.Errorf("got %d keys registered, want 1", got)
		}
	})
}

func TestEnsureKey_TakesAKeyThatIsThereWhateverItsName(t *testing.T) {
	for what, how := range map[string]dotest.How{"refused": dotest.Serve, "unanswered": dotest.ResetAfter, "failed": dotest.ErrorAfter} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			if how == dotest.Serve { // it appears between the look and the POST
				r.Around(func(n int, _ httpRequest, commit func()) bool {
					if n == 1 {
						commit()
						r.Around(nil)
						r.do("POST", "/v2/account/keys", fmt.Sprintf(`{"name":"laptop","public_key":%q}`, operatorKey+" me"))
					}
					return true
				})
			} else {
				r.Fail(dotest.Fault{Method: "POST", Path: "/v2/account/keys", How: how})
			}
			r.alone(create(t, r.ready(), order("nyc1-1")))
			if got := strings.Count(r.do("GET", "/v2/account/keys", ""), `"fingerprint"`); got != 1 {
				t.Errorf("%s: got %d keys, want 1", what, got)
			}
		})
	}
}

func TestEnsureKey_FindsTheKeysThatTheSpecNames(t *testing.T) {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(keyOf(5)))
	must(t, "key", err)
	for _, name := range []string{
		ssh.FingerprintSHA256(public), ssh.FingerprintLegacyMD5(public), "MD5:" + strings.ToUpper(ssh.FingerprintLegacyMD5(public)),
	} {
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			r.spec.Ocean.SSHKeys = []string{name, "~/.ssh/id_ed25519.pub"}
			wantErr(t, "a key that the account lacks", r.provider(nil).EnsureKey(t.Context(), operatorKey), nil, name, "digitalocean.ssh_keys")
			r.do("POST", "/v2/account/keys", fmt.Sprintf(`{"name":"laptop","public_key":%q}`, keyOf(5)))
			var let []string
			p := r.provider(func(c *Config) {
				c.Keys = []string{operatorKey + " a comment"}
				c.Bootstrap = func(keys []string) (string, string, error) { let = keys; return bootstrap(keys) }
			})
			must(t, "EnsureKey", p.EnsureKey(t.Context(), operatorKey))
			create(t, p, order("nyc1-1"))
			if !slices.Equal(sorted(let), sorted([]string{operatorKey, keyOf(5)})) {
				t.Errorf("%s: new machines let in %q, want both keys once", name, let)
			}
		})
	}
}

func TestEnsureKey_RefusesWhatIsNoPublicKey(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		for _, line := range []string{"", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret, "ssh-ed25519", `command="x" ` + operatorKey} {
			err := r.provider(nil).EnsureKey(t.Context(), line)
			wantErr(t, line, err, nil, ".pub")
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the key is shown: %v", err)
			}
		}
		if got := writes(r); got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

func TestCleanup_RemovesWhatIsOursAndNothingElse(t *testing.T) {
	bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
		r.do("POST", "/v2/account/keys", fmt.Sprintf(`{"name":"laptop","public_key":%q}`, keyOf(6)))
		r.do("POST", "/v2/firewalls", `{"name":"web","inbound_rules":[{"protocol":"icmp","ports":"0","sources":{"addresses":["0.0.0.0/0"]}}]}`)
		theirs := []string{"fleet:other", "slot:nyc1-1", "phase:doomed", "op:" + strings.Repeat("0", 26)}
		r.add("other-nyc1-1-01jdv6zz", theirs...)
		for _, tag := range []string{"op:deploy", "hostkey:web", "state:x", "slot:far1-1", "fleet:seabird-two:gone:op:" + strings.Repeat("2", 26)} {
			r.do("POST", "/v2/tags", `{"name":"`+tag+`"}`) // of a fleet that is just about to use them, or not of our form
		}
		before := append(r.tags(), "relay") // which is the operator's
		p := r.ready()
		must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
		for _, node := range []string{"nyc1-1", "fra1-1"} {
			m := create(t, p, order(node))
			must(t, "Mark", p.Mark(t.Context(), m.ID, map[string]string{fleet.MarkPhase: "outgoing"}, nil))
			must(t, "Delete", p.Delete(t.Context(), m.ID))
		}
		for range 2 {
			must(t, "Cleanup", r.provider(nil).Cleanup(t.Context()))
			if got := r.tags(); !slices.Equal(got, sorted(before)) {
				t.Errorf("got tags %q, want %q", got, sorted(before))
			}
			if all := r.walls(); len(all) != 1 || all[0].Name != "web" {
				t.Errorf("got firewalls %+v, want web alone", all)
			}
			if text := r.do("GET", "/v2/account/keys", ""); strings.Count(text, `"fingerprint"`) != 1 || !strings.Contains(text, "laptop") {
				t.Errorf("got keys %s, want laptop alone", text)
			}
		}
		if left, err := r.provider(nil).Leftovers(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("got leftovers %q and error %v, want none", left, err)
		}
		if got := len(r.Droplets(dotest.DefaultToken)); got != 1 {
			t.Errorf("got %d droplets, want the other fleet's", got)
		}
	})
}

// Killed anywhere, Cleanup still knows that something is left, and the next one ends it.
func TestCleanup_KilledAnywhereIsFinishedByTheNext(t *testing.T) {
	for n := 1; ; n++ {
		reached := false
		bubble(t, dotest.Config{}, func(t *testing.T, r *rig) {
			p := r.ready()
			must(t, "EnsureFirewall", p.EnsureFirewall(t.Context()))
			m := create(t, p, order("nyc1-1"))
			must(t, "Delete", p.Delete(t.Context(), m.ID))
			ctx, cancel := contextOf(t)
			seen := 0
			r.Around(func(_ int, q httpRequest, commit func()) bool {
				if seen++; seen == n {
					reached = true
					commit()
					cancel()
				}
				return true
			})
			err := p.Cleanup(ctx)
			r.Around(nil)
			left, leftErr := r.provider(nil).Leftovers(t.Context())
			must(t, "Leftovers", leftErr)
			if err != nil && len(left) == 0 && len(r.tags()) > 1 {
				t.Errorf("killed at request %d: got no leftovers, and tags %q", n, r.tags())
			}
			must(t, "the next Cleanup", r.provider(nil).Cleanup(t.Context()))
			if got := r.tags(); !slices.Equal(got, []string{"relay"}) || len(r.walls()) != 0 {
				t.Errorf("killed at request %d: got tags %q and firewalls %+v, want the operator's tag alone", n, got, r.walls())
			}
		})
		if !reached {
			break
		}
	}
}
