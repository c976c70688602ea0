package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/fleet/fleettest"
)

// addrs parses IP addresses.
func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, text := range texts {
		out[i] = netip.MustParseAddr(text)
	}
	return out
}

func TestPublished_WhatMattersMostIsPublishedFirst(t *testing.T) {
	peer := fleettest.PeerID("a")
	both := addrs("2001:4860:4860::1", "8.8.8.1")
	for _, tt := range []struct {
		name    string
		nodes   int
		ips     []netip.Addr
		zone    string
		publish fleet.PublishSpec
		want    []string // without the peer ID
		err     string
	}{
		{name: "one relay has room for four", nodes: 1, ips: both, want: []string{"/ip4/8.8.8.1/tcp/9100", "/ip6/2001:4860:4860::1/tcp/9100", "/ip4/8.8.8.1/udp/9101/quic-v1", "/ip6/2001:4860:4860::1/udp/9101/quic-v1"}},
		{name: "longer addresses of one fill it sooner", nodes: 1, ips: addrs("2001:4860:4860:4860:4860:4860:4860:8888", "108.108.108.108"), want: []string{
			"/ip4/108.108.108.108/tcp/9100", "/ip6/2001:4860:4860:4860:4860:4860:4860:8888/tcp/9100", "/ip4/108.108.108.108/udp/9101/quic-v1"}},
		{name: "three have room for one", nodes: 3, ips: both, want: []string{"/ip4/8.8.8.1/tcp/9100"}},
		{name: "IPv6 alone", nodes: 3, ips: both[:1], zone: fleet.ZoneCloudflare, want: []string{"/ip6/2001:4860:4860::1/tcp/9100"}},
		{name: "as many as asked for", nodes: 3, ips: both[1:], publish: fleet.PublishSpec{Addresses: 6}, want: []string{"/ip4/8.8.8.1/tcp/9100", "/ip4/8.8.8.1/udp/9101/quic-v1", "/ip4/8.8.8.1/tcp/9102/ws"}},
		{name: "the transport asked for", nodes: 3, ips: both, publish: fleet.PublishSpec{Transports: []string{"ws", "quic"}}, want: []string{"/ip4/8.8.8.1/udp/9101/quic-v1"}},
		{name: "the family asked for", nodes: 3, ips: both, publish: fleet.PublishSpec{Families: []string{"ip6"}}, want: []string{"/ip6/2001:4860:4860::1/tcp/9100"}},
		{name: "no family that it has", nodes: 3, ips: both[1:], publish: fleet.PublishSpec{Families: []string{"ip6"}}, err: "none of its addresses is one that dns.publish lets into DNS"},
		{name: "private in a public zone", nodes: 3, ips: addrs("10.0.0.7", "fd00::1"), zone: fleet.ZoneCloudflare, err: "it has no public address"},
		{name: "private beside public", nodes: 3, ips: addrs("10.0.0.7", "8.8.8.1"), zone: fleet.ZoneRFC2136, want: []string{"/ip4/8.8.8.1/tcp/9100"}},
		{name: "private in the local zone", nodes: 3, ips: addrs("127.0.0.1"), want: []string{"/ip4/127.0.0.1/tcp/9100"}},
		{name: "no address yet", nodes: 3, want: []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim(t, 1).spec
			s.Nodes = []fleet.NodeSpec{{Region: "ra", Count: tt.nodes}}
			s.Relay.QUICPort, s.Relay.WSPort = 9101, 9102
			s.DNS.Publish = tt.publish
			if tt.zone != "" {
				s.DNS.Zone = tt.zone
			}
			records, err := fleet.Published(s, fleet.Machine{Node: "ra-1", Addrs: tt.ips}, peer)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one that says %q", err, tt.err)
				}
				return
			}
			got := []string{}
			for _, rec := range records {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(rec.Value, "dnsaddr="), "/p2p/"+peer))
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// Also where every address is as long as one can be, and none is published but the longest.
func TestPublished_NoNameHoldsMoreThanItCan(t *testing.T) {
	four, six := "203.100.100.%d", "2001:4860:4860:4860:4860:4860:4860:%x"
	for what, c := range map[string]struct {
		ips        []string
		transports []string
	}{
		"both families":      {[]string{four, six}, nil},
		"IPv6":               {[]string{six, "2a01" + six[4:], "2a02" + six[4:]}, nil},
		"QUIC by IPv6 alone": {[]string{six, "2a01" + six[4:], "2a02" + six[4:], "2a03" + six[4:]}, []string{fleet.TransportQUIC}},
	} {
		for _, nodes := range []int{1, 8, 13, 16, 17, 22, 33, 34, 40} {
			s := newSim(t, 1).spec
			s.Nodes = []fleet.NodeSpec{{Region: "ra", Count: nodes}}
			s.Relay.QUICPort, s.Relay.WSPort, s.DNS.Publish.Addresses, s.DNS.Publish.Transports = 9101, 9102, 6, c.transports
			held := make(map[string]int)
			for i, slot := range s.Slots() {
				texts := make([]string, len(c.ips))
				for j, ip := range c.ips {
					texts[j] = fmt.Sprintf(ip, 100+i)
					if ip != four {
						texts[j] = fmt.Sprintf(ip, 0x1000+i)
					}
				}
				m := fleet.Machine{Node: slot.Node, Addrs: addrs(texts...), Ports: fleet.Ports{TCP: 65535, QUIC: 65535, WS: 65535}}
				records, err := fleet.Published(s, m, fleettest.PeerID(slot.Node))
				if err != nil {
					t.Fatal(err)
				}
				for _, rec := range records {
					held[rec.Name] += len(dnsaddr.EncodeTXT(rec.Value))
				}
			}
			for name, n := range held {
				if n > dnsaddr.MaxContent {
					t.Errorf("%s, %d nodes: %s holds %d bytes, want at most %d", what, nodes, name, n, dnsaddr.MaxContent)
				}
			}
			if got, want := len(held), len(s.Layout().Names()); got != want {
				t.Errorf("%s, %d nodes: published at %d names, want %d", what, nodes, got, want)
			}
		}
	}
}

// settled is a fleet of three that is up, and its state after a change to the zone.
func settled(t *testing.T, change func(s *sim)) (*sim, fleet.State) {
	t.Helper()
	return settledOf(t, 3, change)
}

func settledOf(t *testing.T, nodes int, change func(s *sim)) (*sim, fleet.State) {
	t.Helper()
	s := newSim(t, nodes)
	must(t, "up", s.up)
	change(s)
	st, err := fleet.Observe(context.Background(), s.b, s.spec)
	if err != nil {
		t.Fatal(err)
	}
	return s, st
}

// comment gives every record of ours another comment, as somebody in a dashboard does.
func comment(t *testing.T, s *sim, text string) {
	t.Helper()
	s.zone.Edit(s.spec.DNS.RecordName(), func(r *dnsaddr.Record) {
		if _, ours := r.Owner(); ours {
			r.Comment = text
		}
	})
}

func TestSync_OurRelaysRecordsWithoutACommentAreAdoptedAndNotMadeAgain(t *testing.T) {
	for _, tt := range []struct {
		comment string
		adopt   bool
		updates int
		says    string // of each that is not adopted
	}{
		{comment: "", updates: 3},
		{comment: "made by hand", says: `it stands there with the comment "made by hand": --adopt takes it over`},
		{comment: "made by hand", adopt: true, updates: 3},
		{comment: "fleetctl:other/ra-1", says: `it stands there with the comment "fleetctl:other/ra-1", which claims it for another fleet`},
		{comment: "fleetctl:other/ra-1", adopt: true, says: "which claims it for another fleet: it is not taken over"},
		{comment: "fleetctl:a later form/of this", adopt: true, says: "which claims it"},
	} {
		t.Run(fmt.Sprintf("%q, adopt %v", tt.comment, tt.adopt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, st := settled(t, func(s *sim) { comment(t, s, tt.comment) })
				before := s.zone.Writes()
				in := fleet.Intent{RecordsOnly: true, Adopt: tt.adopt}
				plan := fleet.Diff(s.spec, st, in)
				if want := 4 - tt.updates; len(plan.Kept) != want { // three relays and the stranger
					t.Errorf("left alone: got %+v, want %d: what is adopted is not left alone", plan.Kept, want)
				}
				problems := plan.Problems()
				if want := 3 - tt.updates; len(problems) != want {
					t.Errorf("problems: got %+v, want %d", problems, want)
				}
				for _, k := range problems {
					if !strings.Contains(k.Reason, tt.says) || k.Hint == "" || !slices.Contains([]string{"ra-1", "rb-1", "rc-1"}, k.Ref.Node) {
						t.Errorf("got %+v, want the node, %q and a hint", k, tt.says)
					}
				}
				if _, err := s.converge(in); err != nil {
					t.Fatal(err)
				}
				if got := s.zone.Writes() - before; got != tt.updates {
					t.Errorf("writes: got %d, want %d", got, tt.updates)
				}
				for _, m := range s.zone.History()[before:] {
					if m.Call.Op != zonetest.OpUpdate {
						t.Errorf("%s of %s, want updates alone", m.Call.Op, m.Call.Record.Value)
					}
				}
			})
		})
	}
}

// The zone takes them as one, and says what is wrong with one of them.
func TestApply_TheErrorOfAWriteOfSeveralRecordsIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) { s.spec.DNS.TTL += time.Second })
		why := errors.New("a value is taken")
		s.zone.Hook(func(_ context.Context, c zonetest.Call) error {
			if c.Op == zonetest.OpUpdate {
				return why
			}
			return nil
		})
		in := fleet.Intent{RecordsOnly: true}
		told := make(map[string]error)
		err := fleet.Apply(t.Context(), s.b, s.spec, in, st, fleet.Diff(s.spec, st, in), func(e fleet.Event) {
			if e.Kind == fleet.EventFailed {
				told[e.Change.Ref.Node] = e.Err
			}
		})
		var failure *fleet.Failure
		if !errors.Is(err, why) || !errors.As(err, &failure) || len(told) != 3 {
			t.Fatalf("got %v, told %v; want three changes that failed, and why", err, told)
		}
		first := failure.Change.Ref.Node
		for node, got := range told {
			others := "it is in one write with that of " + first + ", which failed"
			if node == first && !errors.Is(got, why) || node != first && got.Error() != others {
				t.Errorf("%s: got %q, want why of %s, and of the others %q", node, got, first, others)
			}
		}
	})
}

// What dns.keep names the operator has decided.
func TestSync_OurRelaysRecordsThatTheSpecKeepsAreNoProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) { comment(t, s, "made by hand") })
		for _, rec := range st.Records.Value {
			s.spec.DNS.Keep = append(s.spec.DNS.Keep, strings.TrimPrefix(rec.Value, "dnsaddr="))
		}
		p := fleet.Diff(s.spec, st, fleet.Intent{RecordsOnly: true, Adopt: true})
		if len(p.Problems()) != 0 || len(p.Kept) != 4 || !p.Empty() {
			t.Errorf("got %+v, want four records left alone and no problem", p)
		}
	})
}

func TestGuard_MoreRemovalsThanAThirdNeedAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.resize(8, 1)
		must(t, "up of 8", s.up)
		s.resize(5, 1)
		var refusal *fleet.Refusal
		_, err := s.up()
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "3 of 8 nodes would leave DNS and nothing takes their place; at most 2") || !strings.HasSuffix(fleet.Hint(err), "--max-deletes 3") {
			t.Fatalf("got %v, hint %q; want a refusal that names the flag", err, fleet.Hint(err))
		}
		s.intent.MaxDeletes = 3
		st, err := fleet.Observe(t.Context(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range fleet.Diff(s.spec, st, s.intent).Changes() {
			if c.Action == fleet.ActionWithdraw && !strings.Contains(c.Reason, "--max-deletes 3 lets 3 of 8 nodes go at once") {
				t.Errorf("reason: got %q, want the flag in it", c.Reason)
			}
		}
		must(t, "up of 5", s.up)
		s.check(t)
	})
}

func TestSync_TwoRelaysWithOnePeerIDAreNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		twin := s.holderOf(t, "ra-1").Relay.PeerID
		s.world.Change(s.holderOf(t, "rb-1").Machine.ID, func(b *fleettest.Box) { b.Relay.PeerID = twin })
		before := s.zone.Writes()
		o, err := s.converge(fleet.Intent{RecordsOnly: true})
		if err != nil || s.zone.Writes() != before {
			t.Errorf("got %v and %d writes, want none", err, s.zone.Writes()-before)
		}
		if !slices.ContainsFunc(o.Plan.Problems(), func(k fleet.Kept) bool { return strings.HasPrefix(k.Reason, "ra-1 and rb-1 have one peer ID") }) {
			t.Errorf("problems: got %+v, want the twins named", o.Plan.Problems())
		}
	})
}

func TestSync_ARelayWithoutAPublicAddressIsNamedAndNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) {})
		s.spec.DNS.Zone = fleet.ZoneCloudflare
		st.Records.Value = nil
		for i := range st.Machines.Value {
			st.Machines.Value[i].Addrs = addrs(fmt.Sprintf("192.168.0.%d", i+1))
		}
		in := fleet.Intent{RecordsOnly: true, Unverified: true}
		p := fleet.Diff(s.spec, st, in)
		if len(p.Changes()) > 0 || len(p.Problems()) != 3 || !strings.HasPrefix(p.Problems()[0].Reason, "it has no public address") {
			t.Errorf("got changes %+v, problems %+v; want three problems alone", p.Changes(), p.Problems())
		}
		for _, k := range p.Problems() {
			if !strings.Contains(k.Hint, "address that clients reach") || !strings.Contains(k.Hint, "dns.publish.scope") {
				t.Errorf("%s: got hint %q, want what to do about its address", k.Ref.Node, k.Hint)
			}
		}
		private := "dnsaddr=/ip4/192.168.0.1/tcp/9100/p2p/" + fleettest.PeerID("x")
		forced := fleet.Plan{Fleet: "demo", Stages: []fleet.Stage{{Name: fleet.StagePublish, Changes: []fleet.Change{
			{Action: fleet.ActionPublish, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: private}},
		}}}}
		if err := fleet.Guard(s.spec, st, in, forced); err == nil || !strings.Contains(err.Error(), "is private") {
			t.Errorf("Guard: got %v, want a refusal of a private address", err)
		}
	})
}

func TestSync_AnAddressThatNoProbeFoundServingNeedsUnverified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := settled(t, func(s *sim) {})
		st.Records.Value = nil
		for a := range st.Probes {
			st.Probes[a] = fleet.Observed[fleet.Probe]{Value: fleet.Probe{Addr: a, At: time.Now(), Verdict: fleet.Unreachable}}
		}
		in := fleet.Intent{RecordsOnly: true}
		if p := fleet.Diff(s.spec, st, in); len(p.Changes()) > 0 || len(p.Deferred) != 3 {
			t.Errorf("got %+v, want three deferrals alone", p)
		}
		forced := in
		forced.Unverified = true
		p := fleet.Diff(s.spec, st, forced)
		if len(p.Changes()) != 3 || !strings.HasPrefix(p.Changes()[0].Reason, "--unverified: ") {
			t.Errorf("got %+v, want three records, and the flag in the reason", p.Changes())
		}
		if err := fleet.Guard(s.spec, st, forced, p); err != nil {
			t.Errorf("Guard with the flag: %v", err)
		}
		if err := fleet.Guard(s.spec, st, in, p); err == nil || !strings.Contains(fleet.Hint(err), "--unverified") {
			t.Errorf("Guard without it: got %v, hint %q; want a refusal that names the flag", err, fleet.Hint(err))
		}
	})
}

func TestSync_TwoFleetsOfOneDomainLeaveEachOtherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := newSim(t, 3), newSim(t, 3)
		other.world = fleettest.NewWorld("other")
		other.spec.Name, other.zone = "other", s.zone
		other.b = other.world.Backends(s.zone)
		must(t, "up of the first", s.up)
		must(t, "up of the second", other.up)
		before := s.zone.Writes()
		must(t, "up of the first again", s.up)
		if got := s.zone.Writes(); got != before {
			t.Errorf("writes: got %d, want none", got-before)
		}
		must(t, "down of the second", other.down)
		if ours, foreign := s.records(t); len(ours) != 3 || len(foreign) != 1 {
			t.Errorf("after the other's down: ours %q, foreign %q", ours, foreign)
		}
	})
}

func TestDigest_IsOfWhatIsDoneAndNotOfTheWords(t *testing.T) {
	p := goldenPlan(t)
	reworded := p
	reworded.Stages = slices.Clone(p.Stages)
	reworded.Stages[0].Changes = slices.Clone(p.Stages[0].Changes)
	reworded.Stages[0].Changes[0].Reason = "because"
	reworded.Kept = nil
	if p.Digest() != reworded.Digest() {
		t.Error("other words make another digest")
	}
	reworded.Stages[0].Changes[0].Ref.Node = "elsewhere"
	if p.Digest() == reworded.Digest() {
		t.Error("another change has the same digest")
	}
	for what, elsewhere := range changedHomes(p) {
		if p.Digest() == elsewhere.Digest() {
			t.Errorf("%s has the same digest", what)
		}
	}
}
