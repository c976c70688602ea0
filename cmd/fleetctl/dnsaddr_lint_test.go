package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/pkg/resolve/resolvetest"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// lints runs `dnsaddr lint` and reads what it prints.
func lints(t *testing.T, a *app, stdout, stderr *bytes.Buffer, want int, args ...string) lintView {
	t.Helper()
	stdout.Reset()
	stderr.Reset()
	a.globals = globals{}
	args = append([]string{"dnsaddr", "lint", "-o", "json"}, args...)
	if code := run(t.Context(), a, args); code != want {
		t.Fatalf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	var v lintView
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	return v
}

// tried is how many relays each client tries, by "client over network".
func (v lintView) tried() map[string]int {
	out := make(map[string]int)
	for _, c := range v.Clients {
		out[string(c.Client)+" over "+c.Network] = c.Tried
	}
	return out
}

// findings are the rules that were broken, with their grades.
func (v lintView) checks() string {
	var out []string
	for _, f := range v.Findings {
		out = append(out, string(f.Grade)+" "+f.Check)
	}
	return strings.Join(out, ", ")
}

func TestLint_NoLayoutOfOursLosesAClientThatCanReceiveIt(t *testing.T) {
	a, stdout, stderr := testApp(t)
	for _, n := range []int{1, 3, 10, 11, 16, 17, 100, 1000} {
		v := lints(t, a, stdout, stderr, exitOK, "--relays", fmt.Sprint(n))
		if v.Relays != n || v.Source != "layout" || !v.OK {
			t.Errorf("%d relays: got %d from %s, ok %v", n, v.Relays, v.Source, v.OK)
		}
		entry := n
		if n > 16 {
			entry = 10
		}
		for _, c := range v.Clients {
			if c.Client == dnsaddr.NimLibp2p || strings.Contains(c.Network, "no tcp") {
				continue
			}
			if c.Tried != entry || c.ByPeerID != n {
				t.Errorf("%d relays: %s over %s tries %d and reaches %d by peer ID, want %d and %d", n, c.Client, c.Network, c.Tried, c.ByPeerID, entry, n)
			}
		}
	}
}

func TestLint_TCPBlockedIsJudgedWhereItIsAskedFor(t *testing.T) {
	a, stdout, stderr := testApp(t)
	if v := lints(t, a, stdout, stderr, exitOK, "--relays", "16"); v.tried()["go-libp2p over udp 1232, no tcp"] != 0 || v.checks() != "warning size" {
		t.Errorf("16 relays: got %v, %s; want none without TCP, and a warning", v.tried(), v.checks())
	}
	if v := lints(t, a, stdout, stderr, exitUnverified, "--relays", "16", "--tcp-blocked"); v.OK {
		t.Error("16 relays, TCP blocked: all is well, want not")
	}
	for _, n := range []string{"10", "17", "1000"} {
		if v := lints(t, a, stdout, stderr, exitOK, "--relays", n, "--tcp-blocked"); v.tried()["rust-libp2p over udp 1232, no tcp"] != 10 {
			t.Errorf("%s relays, TCP blocked: got %v, want 10 for rust-libp2p", n, v.tried())
		}
	}
}

func TestLint_FollowsThePolicyOfTheSpec(t *testing.T) {
	a, stdout, stderr := testApp(t)
	spec := `name: blue
provider: local
nodes: [{region: nyc1}]
dns: {zone: local, domain: p2p.blue.test, publish: {compact: few, addresses: 2}}
`
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	v := lints(t, a, stdout, stderr, exitOK, "--relays", "100", "--regions", "4")
	if v.Name != "_dnsaddr.p2p.blue.test" || v.Compact != "_dnsaddr.few.p2p.blue.test" || len(v.Names) != 6 {
		t.Errorf("got %s, compact %s, %d names; want the spec's, and an entry, a compact name and four lists", v.Name, v.Compact, len(v.Names))
	}
	for _, c := range v.Clients {
		if c.Client == dnsaddr.NimLibp2p && c.Tried != 0 {
			t.Errorf("nim-libp2p over %s: %d at the entry name, want none", c.Network, c.Tried)
		}
		if c.Client == dnsaddr.GoLibp2p && c.Network == "udp 1232" && c.Tried != 10 {
			t.Errorf("go-libp2p: %d, want 10", c.Tried)
		}
	}
	stdout.Reset()
	a.globals = globals{}
	if code := run(t.Context(), a, []string{"dnsaddr", "lint", "--relays", "100"}); code != exitOK || !strings.Contains(stdout.String(), "/dnsaddr/few.p2p.blue.test") {
		t.Errorf("the table does not say what nim-libp2p is given:\n%s", stdout)
	}
}

// The fleet's own records are judged as its zone holds them, strangers' among them.
func TestLint_TheFleetsOwnRecords(t *testing.T) {
	a, stdout, stderr := testApp(t)
	a.wrapRunner = func(r sshx.Runner) sshx.Runner { return r }
	spec := "name: blue\nprovider: local\nnodes: [{region: nyc1}]\ndns: {zone: local, domain: p2p.blue.test}\n"
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	if v := lints(t, a, stdout, stderr, exitUnverified); v.Source != "zone" || v.Relays != 0 || v.checks() != "problem empty" {
		t.Errorf("nothing published: got %d relays from %s, %s", v.Relays, v.Source, v.checks())
	}
	loaded, err := a.loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := a.openState(loaded)
	if err != nil {
		t.Fatal(err)
	}
	zone := filepath.Join(dir.Path(), "zone")
	if err := os.MkdirAll(zone, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"version":1,"id":"01jd0000000000000000000000","apex":"p2p.blue.test","serial":1,"records":[
{"id":"a","name":"_dnsaddr.p2p.blue.test","value":"dnsaddr=/ip4/198.151.100.1/tcp/9100/p2p/12D3KooWGzCXDd7ZPV5qyVbEWNtgHuzpSrUwCGWcr4iJ4ysYf4bq","ttl_secs":300,"comment":"fleetctl:blue/nyc1-1"},
{"id":"b","name":"_dnsaddr.p2p.blue.test","value":"v=spf1 -all","ttl_secs":30}]}`
	if err := os.WriteFile(filepath.Join(zone, "zone.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v := lints(t, a, stdout, stderr, exitUnverified)
	if v.Relays != 1 || v.checks() != "warning ttl, problem foreign" || v.tried()["go-libp2p over udp 1232"] != 1 || v.tried()["js-libp2p over udp 1232"] != 0 {
		t.Errorf("a relay and SPF: got %d relays, %s, %v", v.Relays, v.checks(), v.tried())
	}
}

// foreignName is a name of somebody else: one relay itself, one behind a pointer with its
// peer ID, and whatever more is given.
func foreignName(more ...string) resolvetest.Zone {
	const one, two = "12D3KooWGzCXDd7ZPV5qyVbEWNtgHuzpSrUwCGWcr4iJ4ysYf4bq", "12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD"
	values := append([]string{"dnsaddr=/ip4/198.151.100.1/tcp/4001/p2p/" + one, "dnsaddr=/dnsaddr/b.boot.example/p2p/" + two}, more...)
	zone := resolvetest.Texts("_dnsaddr.boot.example.", 300, values...)
	return append(zone, resolvetest.Texts("_dnsaddr.b.boot.example.", 300, "dnsaddr=/ip4/198.151.100.2/tcp/4001/p2p/"+two)...)
}

func TestLint_ANameOfSomebodyElse(t *testing.T) {
	a, stdout, stderr := testApp(t)
	server := resolvetest.Start(t, foreignName().Recursive)
	for _, name := range []string{"_dnsaddr.boot.example", "boot.example.", "/dnsaddr/Boot.example"} {
		v := lints(t, a, stdout, stderr, exitOK, name, "--resolver", server.Addr)
		if v.Name != "_dnsaddr.boot.example" || v.Source != "dns" || v.Relays != 2 || len(v.Names) != 2 || v.checks() != "" {
			t.Errorf("%s: got %+v", name, v)
		}
		for client, n := range v.tried() {
			if n != 2 {
				t.Errorf("%s: %s tries %d, want 2", name, client, n)
			}
		}
	}
	server.Answer(foreignName("v=spf1 -all").Recursive)
	v := lints(t, a, stdout, stderr, exitUnverified, "boot.example", "--resolver", server.Addr)
	if v.tried()["js-libp2p over udp 1232"] != 0 || v.tried()["go-libp2p over udp 1232"] != 2 || v.checks() != "problem foreign" {
		t.Errorf("SPF at the name: got %v, %s; want nothing for js-libp2p alone", v.tried(), v.checks())
	}
	lints(t, a, stdout, stderr, exitOK, "boot.example", "--resolver", server.Addr, "--client", "go-libp2p")
}

// A name that nobody has made is said to be none, and nobody is told to publish what is
// not theirs.
func TestLint_ANameThatIsNotThereIsNoneAndNotOursToPublish(t *testing.T) {
	a, stdout, stderr := testApp(t)
	server := resolvetest.Start(t, foreignName().Recursive)
	advice := func(name, detail, fix string) {
		t.Helper()
		v := lints(t, a, stdout, stderr, exitUnverified, name, "--resolver", server.Addr)
		if len(v.Findings) != 1 || v.Findings[0].Detail != detail || v.Findings[0].Fix != fix {
			t.Errorf("%s: got %+v, want %q and %q", name, v.Findings, detail, fix)
		}
	}
	advice("typo.example", "no such name", "see whether the name is right")
	spec := "name: blue\nprovider: local\nnodes: [{region: nyc1}]\ndns: {zone: local, domain: p2p.blue.test}\n"
	if err := os.WriteFile(filepath.Join(a.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	advice("typo.example", "no such name", "see whether the name is right")
	advice("p2p.blue.test", "no such name", "publish the relays: 'fleetctl dnsaddr sync'")
	server.Answer(resolvetest.Texts("below._dnsaddr.empty.example.", 300, "x").Recursive)
	advice("empty.example", "no TXT records", "see whether the name is right")
}

// What is not known is not said to be empty.
func TestLint_ANameThatDoesNotAnswerIsNotCalledEmpty(t *testing.T) {
	a, stdout, stderr := testApp(t)
	zone := foreignName()
	server := resolvetest.Start(t, func(q *dns.Msg, by string) *dns.Msg {
		if q.Question[0].Name == "_dnsaddr.b.boot.example." {
			return resolvetest.Rcode(dns.RcodeServerFailure)(q, by)
		}
		return zone.Recursive(q, by)
	})
	v := lints(t, a, stdout, stderr, exitUnverified, "boot.example", "--resolver", server.Addr)
	if len(v.Errors) != 1 || v.checks() != "" || len(v.Names) != 1 {
		t.Errorf("a name behind it answers SERVFAIL: got errors %q, findings %s, %d names; want one error alone", v.Errors, v.checks(), len(v.Names))
	}
}

func TestLint_NamesInACircleAreAskedForOnce(t *testing.T) {
	a, stdout, stderr := testApp(t)
	server := resolvetest.Start(t, append(
		resolvetest.Texts("_dnsaddr.a.example.", 300, "dnsaddr=/dnsaddr/b.example", "dnsaddr=/dnsaddr/a.example"),
		resolvetest.Texts("_dnsaddr.b.example.", 300, "dnsaddr=/dnsaddr/a.example")...).Recursive)
	v := lints(t, a, stdout, stderr, exitUnverified, "a.example", "--resolver", server.Addr)
	if asked := server.Asked(); len(asked) != 2 || len(v.Names) != 2 || v.Relays != 0 {
		t.Errorf("asked %q, got %d names and %d relays; want each of two names once, and no relay", asked, len(v.Names), v.Relays)
	}
}

func TestLint_AResolverThatDoesNotKnowIsAnError(t *testing.T) {
	a, _, stderr := testApp(t)
	server := resolvetest.Start(t, resolvetest.Rcode(2))
	if code := run(t.Context(), a, []string{"dnsaddr", "lint", "boot.example", "--resolver", server.Addr}); code != exitError || !strings.Contains(stderr.String(), "SERVFAIL") {
		t.Errorf("got exit %d, %s; want 1 and SERVFAIL", code, stderr)
	}
}

func TestLint_BadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"boot.example", "--relays", "3"}, {"--relays", "0"}, {"--relays", "-1"}, {"--relays", "1000000"}, {"--regions", "3"},
		{"--relays", "3", "--regions", "4"}, {"--resolver", "127.0.0.1:53"}, {"a..example"}, {"boot.example", "--resolver", "ftp://x"},
		{"a.example", "b.example"}, {"--relays", "3", "--client", "perl-libp2p"}, {"--relays", "3", "--config", "nothing.yaml"},
	} {
		a, stdout, stderr := testApp(t)
		if code := run(t.Context(), a, append([]string{"dnsaddr", "lint"}, args...)); code != exitError || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("%q: exit %d, stdout %q, stderr %q; want 1 and an error", args, code, stdout, stderr)
		}
	}
}

// The blocks of docs/dns.md print what they say.
func TestLint_BlocksOfThePagePrintWhatTheySay(t *testing.T) {
	page, err := os.ReadFile("../../docs/dns.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```console\n\\$ fleetctl (dnsaddr lint [^\n]*)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) == 0 {
		t.Fatal("the page shows no output of lint")
	}
	for _, block := range blocks {
		a, stdout, stderr := testApp(t)
		if code := run(t.Context(), a, strings.Fields(block[1])); code != exitOK {
			t.Fatalf("%s: exit %d\n%s", block[1], code, stderr)
		}
		if diff := cmp.Diff(block[2], stdout.String()); diff != "" {
			t.Errorf("%s: -page +printed\n%s", block[1], diff)
		}
	}
}
