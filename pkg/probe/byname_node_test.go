//go:build e2e

package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// jsDial is what js-libp2p says of one address.
type jsDial struct {
	Address string `json:"address"`
	Peer    string `json:"peer"`
	Error   string `json:"error"`
}

// dialFromJS lets js-libp2p dial /dnsaddr addresses, which it resolves at one server. The
// packages are those of make e2e.
func dialFromJS(t *testing.T, server string, addresses ...string) []jsDial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node_modules/.bin/node", append([]string{"byname.mjs", "--dns", server}, addresses...)...)
	cmd.Dir = "../../testdata/e2e/js"
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("js-libp2p: %v\n%s", err, stderr.Bytes())
	}
	var all []jsDial
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var one jsDial
		if err := d.Decode(&one); err != nil {
			t.Fatalf("js-libp2p: %v\n%s", err, out)
		}
		all = append(all, one)
	}
	if len(all) != len(addresses) {
		t.Fatalf("js-libp2p said %d things of %d addresses:\n%s", len(all), len(addresses), out)
	}
	return all
}

// js-libp2p connects by name, pinned and not, wherever the model says that it can.
func TestByName_JSLibp2pConnects(t *testing.T) {
	for _, n := range []int{3, 16, 17, 100, 1000} {
		for _, network := range []dnsaddr.Network{
			{UDP: dnsaddr.MaxEDNS}, {UDP: dnsaddr.MaxUDP}, {UDP: dnsaddr.MaxEDNS, NoTCP: true},
		} {
			if n != 17 && n != 1000 && network != (dnsaddr.Network{UDP: dnsaddr.MaxEDNS}) {
				continue
			}
			t.Run(fmt.Sprintf("%d over %s", n, network), func(t *testing.T) {
				f := newByName(t, n, network, false)
				clients := dnsaddr.NewClients(f.answers)
				addresses := []string{"/dnsaddr/" + fleetDomain}
				want := []bool{clients.Resolve(dnsaddr.JSLibp2p, network, fleetDomain, "").Failed == ""}
				for node, serves := range f.serves {
					if serves {
						id := f.ids[node].String()
						addresses = append(addresses, "/dnsaddr/"+f.list(node)+"/p2p/"+id)
						want = append(want, len(clients.Resolve(dnsaddr.JSLibp2p, network, f.list(node), id).Relays) == 1)
					}
				}
				for i, got := range dialFromJS(t, f.addr, addresses...) {
					if (got.Peer != "") != want[i] {
						t.Errorf("%s: connected to %q, %q; want connected %v", got.Address, got.Peer, got.Error, want[i])
					}
					if _, id, pinned := strings.Cut(got.Address, "/p2p/"); pinned && got.Peer != "" && got.Peer != id {
						t.Errorf("%s: connected to %s", got.Address, got.Peer)
					}
				}
				if got := f.queries(f.layout.Entry()); n > dnsaddr.MaxFlat && want[0] && got != clients.Resolve(dnsaddr.JSLibp2p, network, fleetDomain, "").Queries {
					t.Errorf("%d queries for the entry name", got)
				}
			})
		}
	}
}

// js-libp2p stumbles where the model says that it does.
func TestByName_JSLibp2pDoesWhatTheModelSays(t *testing.T) {
	server := listening(t)
	good := fmt.Sprintf("dnsaddr=%s/p2p/%s", server.Addrs()[0], server.ID())
	dead := func(n int) [][]string {
		out := make([][]string, n)
		for i := range out {
			id, addr := noRelay(t)
			out[i] = []string{fmt.Sprintf("dnsaddr=%s/p2p/%s", addr, id)}
		}
		return out
	}
	network := dnsaddr.Network{UDP: dnsaddr.MaxEDNS}
	id := server.ID().String()
	answers := make(dnsaddr.Answers)
	var addresses []string
	cases := []struct {
		what   string
		texts  [][]string
		any    bool // without a peer ID it connects
		pinned bool
	}{
		{"alone", [][]string{{good}}, true, true},
		{"SPF beside it", [][]string{{good}, {"v=spf1 -all"}}, false, true},
		{"heritage= beside it", [][]string{{"heritage=external-dns,external-dns/owner=x"}, {good}}, false, true},
		{"text without =", [][]string{{good}, {"hello"}}, true, true},
		{"malformed beside it", [][]string{{good}, {"dnsaddr=/ip4/300.1.1.1/tcp/1"}}, false, true},
		{"in two strings", [][]string{{good[:30], good[30:]}}, false, false},
		{"the 25th address", append(dead(24), []string{good}), true, true},
		{"the 26th address", append(dead(25), []string{good}), false, true},
		{"behind a space", [][]string{{" " + good}}, true, true},
		{"a pointer to nothing", [][]string{{good}, {"dnsaddr=/dnsaddr/nothing." + fleetDomain}}, false, true},
	}
	domain := func(i int) string { return fmt.Sprintf("s%d.%s", i, fleetDomain) }
	for i, c := range cases {
		answers["_dnsaddr."+domain(i)] = dnsaddr.Answer{Texts: c.texts}
		addresses = append(addresses, "/dnsaddr/"+domain(i), "/dnsaddr/"+domain(i)+"/p2p/"+id)
	}
	got := dialFromJS(t, serveNames(t, answers, network).addr, addresses...)
	clients := dnsaddr.NewClients(answers)
	for i, c := range cases {
		for j, want := range []bool{c.any, c.pinned} {
			if got := got[2*i+j]; (got.Peer != "") != want {
				t.Errorf("%s: %s: connected to %q, %q; want connected %v", c.what, got.Address, got.Peer, got.Error, want)
			}
			model := clients.Resolve(dnsaddr.JSLibp2p, network, domain(i), []string{"", id}[j])
			if slices.Contains(model.Relays, id) != want {
				t.Errorf("%s: %s: the model tries %v, want the relay among them: %v", c.what, addresses[2*i+j], model.Relays, want)
			}
		}
	}
}
