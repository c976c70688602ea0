package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a test flag

// goldenPlan is that of a fleet of three with one slot empty, one relay dead and one replaced.
func goldenPlan(t *testing.T) fleet.Plan {
	t.Helper()
	var plan fleet.Plan
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1) // one node after the other: the world hands out addresses in that order
		must(t, "up", s.up)
		s.spec.Nodes = append(s.spec.Nodes, fleet.NodeSpec{Region: "rb", Count: 1})
		must(t, "up", s.up)
		s.spec.Nodes = append(s.spec.Nodes, fleet.NodeSpec{Region: "rc", Count: 1})
		s.spec.DNS.TTL = 5 * time.Second
		boxes := s.world.Boxes()
		s.world.Change(boxes[1].Machine.ID, down)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		in := s.intent
		in.Replace = []string{boxes[0].Machine.ID}
		plan = fleet.Diff(s.spec, st, in)
	})
	return plan
}

func TestPlan_ItsJSONFormIsTheGoldenFile(t *testing.T) {
	got, err := fleet.EncodePlan(goldenPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	got = stableIDs(got)
	const path = "testdata/plan.golden.json"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the plan's JSON changed; if that is meant, run with -update and read the difference.\ngot:\n%s", got)
	}
}

// stableIDs replaces what is drawn at random: operations, and the peer IDs made from them.
func stableIDs(text []byte) []byte {
	out := string(text)
	for _, pattern := range []struct{ prefix, alphabet, as string }{
		{"ra-1-", lowerULID, "OP-A"}, {"rb-1-", lowerULID, "OP-B"}, {"12D3KooW", base58, "PEER"},
	} {
		for from := 0; ; {
			i := strings.Index(out[from:], pattern.prefix)
			if i < 0 {
				break
			}
			start := from + i + len(pattern.prefix)
			end := start
			for end < len(out) && strings.ContainsRune(pattern.alphabet, rune(out[end])) {
				end++
			}
			out = out[:start] + pattern.as + out[end:]
			from = start
		}
	}
	return []byte(out)
}

const (
	lowerULID = "0123456789abcdefghjkmnpqrstvwxyz"
	base58    = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

func TestDecodePlan_ReadsWhatEncodePlanWrites(t *testing.T) {
	p := goldenPlan(t)
	text, err := fleet.EncodePlan(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := fleet.DecodePlan(bytes.NewReader(text), planSpec())
	if err != nil {
		t.Fatal(err)
	}
	if p.Domain == "" || p.Zone == "" || !p.Covers(back) || !back.Covers(p) || p.Digest() != back.Digest() {
		t.Error("a plan read back is another plan")
	}
}

// planSpec is what goldenPlan is of, as far as a plan file is bound to it.
func planSpec() fleet.Spec {
	return fleet.Spec{Name: "demo", DNS: fleet.DNSSpec{Zone: fleet.ZoneLocal, Domain: "p2p.Demo.test"}}
}

func TestDecodePlan_RefusesWhatIsNotAPlanOfThisFleetAndVersion(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"another fleet":        {`{"version":1,"fleet":"other","domain":"p2p.demo.test","zone":"local","stages":[]}`, `for fleet "other", the spec is for "demo"`},
		"another domain":       {`{"version":1,"fleet":"demo","domain":"p2p.test","zone":"local","stages":[]}`, `for the domain "p2p.test", the spec is for "p2p.demo.test"`},
		"another zone":         {`{"version":1,"fleet":"demo","domain":"p2p.demo.test","zone":"cloudflare","stages":[]}`, `for the zone "cloudflare", the spec is for "local"`},
		"neither of them":      {`{"version":1,"fleet":"demo","stages":[],"deferred":[],"kept":[]}`, "does not say for which domain"},
		"neither, and a hash":  {`{"version":1,"fleet":"demo","stages":[],"deferred":[],"kept":[],"hash":"7f3a9c"}`, "an earlier version of fleetctl made it"},
		"another's, of then":   {`{"version":1,"fleet":"other","stages":[],"deferred":[],"kept":[],"hash":"7f3a9c"}`, `for fleet "other", the spec is for "demo"`},
		"another's, changed":   {`{"version":1,"fleet":"other","domain":"p2p.demo.test","zone":"local","stages":[],"hash":"7f3a9c"}`, `for fleet "other", the spec is for "demo"`},
		"changed":              {`{"version":1,"fleet":"demo","domain":"p2p.demo.test","zone":"local","stages":[],"hash":"7f3a9c"}`, "the file was changed"},
		"an older version":     {`{"version":0,"fleet":"demo"}`, "version 0"},
		"a newer version":      {`{"version":2,"fleet":"demo"}`, "version 2"},
		"an unknown field":     {`{"version":1,"fleet":"demo","steps":[]}`, `unknown field "steps"`},
		"no JSON":              {"\x00\x01", "not a plan"},
		"nothing":              {"", "not a plan"},
		"a domain that is odd": {`{"version":1,"fleet":"demo","domain":"\u001b[2J","zone":"local"}`, `"\x1b[2J"`},
	} {
		if _, err := fleet.DecodePlan(strings.NewReader(tc.text), planSpec()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want %s", name, err, tc.want)
		}
	}
}

// changedHomes are a plan's changes with records elsewhere.
func changedHomes(p fleet.Plan) map[string]fleet.Plan {
	domain, zone := p, p
	domain.Domain, zone.Zone = "p2p.elsewhere.test", "elsewhere"
	return map[string]fleet.Plan{"another domain": domain, "another zone": zone}
}

func TestCovers_NothingAtAnotherDomainOrInAnotherZone(t *testing.T) {
	p := goldenPlan(t)
	for what, elsewhere := range changedHomes(p) {
		if got := p.Uncovered(elsewhere); len(got) != len(p.Changes()) {
			t.Errorf("%s: got %d changes that are not covered, want all %d", what, len(got), len(p.Changes()))
		}
	}
}

func TestDNSSpec_HomeSaysWhichZoneTheFileMeans(t *testing.T) {
	for want, d := range map[string]fleet.DNSSpec{
		"local":                                 {Zone: fleet.ZoneLocal},
		"cloudflare":                            {Zone: fleet.ZoneCloudflare},
		"cloudflare 0123456789abcdef":           {Zone: fleet.ZoneCloudflare, Cloudflare: fleet.CloudflareSpec{ZoneID: "0123456789ABCDEF"}},
		"rfc2136 demo.test at ns1.demo.test:53": {Zone: fleet.ZoneRFC2136, RFC2136: fleet.RFC2136Spec{Server: "ns1.demo.test:53", Zone: "demo.test"}},
	} {
		if got := d.Home(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Names of the DNS have no case, and a final dot changes none.
func TestDNSSpec_HomeIsTheSameInEverySpelling(t *testing.T) {
	at := func(zone, server string) string {
		return fleet.DNSSpec{Zone: fleet.ZoneRFC2136, RFC2136: fleet.RFC2136Spec{Server: server, Zone: zone}}.Home()
	}
	want := at("demo.test", "ns1.demo.test:53")
	for _, same := range []string{at("Demo.TEST", "ns1.demo.test:53"), at("demo.test.", "ns1.demo.test:53"), at("demo.test", "NS1.Demo.test:53"), at("demo.test", "ns1.demo.test.:53")} {
		if same != want {
			t.Errorf("got %q, want %q", same, want)
		}
	}
	for _, other := range []string{at("demo.test", "ns1.demo.test:5353"), at("demo.test", "ns2.demo.test:53"), at("test", "ns1.demo.test:53")} {
		if other == want {
			t.Errorf("got %q for another server or zone, too", other)
		}
	}
	if got, want := at("demo.test", "[2001:DB8::1]:53"), "rfc2136 demo.test at [2001:db8::1]:53"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCovers_AWithdrawalOfAnotherRecordIsNotCovered(t *testing.T) {
	withdraw := func(value string) fleet.Plan {
		return fleet.Plan{Fleet: "demo", Stages: []fleet.Stage{{Name: fleet.StageWithdraw, Changes: []fleet.Change{
			{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1", ID: value}},
		}}}}
	}
	shown := withdraw("dnsaddr=a")
	if !shown.Covers(withdraw("dnsaddr=a")) {
		t.Error("the same withdrawal is not covered")
	}
	if shown.Covers(withdraw("dnsaddr=b")) {
		t.Error("the withdrawal of a record that was not shown is covered")
	}
	open := fleet.Plan{Fleet: "demo", Deferred: []fleet.Deferral{{Action: fleet.ActionWithdraw, Ref: fleet.Ref{Kind: fleet.KindRecord, Node: "ra-1"}}}}
	if open.Covers(withdraw("dnsaddr=a")) {
		t.Error("a deferral without an ID covers a withdrawal")
	}
}

func TestUpWithAnOldPlan_StopsWhenTheFleetChangedSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 3)
		must(t, "up", s.up)
		st, err := fleet.Observe(context.Background(), s.b, s.spec)
		if err != nil {
			t.Fatal(err)
		}
		shown := fleet.Diff(s.spec, st, s.intent) // nothing to do
		s.world.Change(s.world.Boxes()[0].Machine.ID, down)
		time.Sleep(time.Minute) // in the bubble: the state is old and is read again
		_, err = fleet.Converge(context.Background(), s.b, s.spec, s.intent, st, shown, nil)
		if !errors.Is(err, fleet.ErrStalePlan) {
			t.Errorf("got %v, want ErrStalePlan", err)
		}
	})
}
