package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	"pgregory.net/rapid"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// texts answers TXT queries out of a map; a name that is not in it does not exist.
type texts map[string][]string

func (x texts) LookupTXT(_ context.Context, name string) ([]string, error) {
	if found, ok := x[name]; ok && len(found) > 0 {
		return found, nil
	}
	return nil, errors.New("no such host")
}

func (texts) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return nil, errors.New("no such host")
}

// The model of go-libp2p finds what go-libp2p's own resolver finds, in its order, whatever
// stands at the names; that of kubo what go-multiaddr-dns finds for one name and a peer ID.
func TestByName_TheModelIsGoLibp2p(t *testing.T) {
	ids := make([]peer.ID, 12)
	for i := range ids {
		ids[i], _ = noRelay(t)
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.IntRange(1, 6).Draw(t, "names")
		zone := make(texts)
		answers := make(dnsaddr.Answers)
		flat := names == 1
		for i := range names {
			name := fmt.Sprintf("_dnsaddr.n%d.%s", i, fleetDomain)
			for range rapid.SampledFrom([]int{0, 1, 3, 20, 3, 1, 8, 110}).Draw(t, "records") {
				text := someText(t, ids, names, flat)
				zone[name] = append(zone[name], text)
				a := answers[name]
				a.Texts = append(a.Texts, []string{text})
				answers[name] = a
			}
		}
		id := peer.ID("")
		if rapid.Bool().Draw(t, "pinned") {
			id = rapid.SampledFrom(ids).Draw(t, "id")
		}
		resolver, err := madns.NewResolver(madns.WithDefaultResolver(zone))
		if err != nil {
			t.Fatal(err)
		}
		name := ma.StringCast("/dnsaddr/n0." + fleetDomain)
		found, err := swarm.ResolverFromMaDNS{Resolver: resolver}.ResolveDNSAddr(context.Background(), id, name, 4, 100)
		compare(t, "go-libp2p", found, err, dnsaddr.NewClients(answers).Resolve(dnsaddr.GoLibp2p, dnsaddr.Network{}, "n0."+fleetDomain, idText(id)), id != "")
		if flat && id != "" {
			found, err := resolver.Resolve(context.Background(), name.Encapsulate(ma.StringCast("/p2p/"+id.String())))
			compare(t, "kubo", found, err, dnsaddr.NewClients(answers).Resolve(dnsaddr.Kubo, dnsaddr.Network{}, "n0."+fleetDomain, id.String()), true)
		}
	})
}

func idText(id peer.ID) string {
	if id == "" {
		return ""
	}
	return id.String()
}

// someText is what may stand at a name; of one name, nothing leads elsewhere.
func someText(t *rapid.T, ids []peer.ID, names int, flat bool) string {
	id := rapid.SampledFrom(ids).Draw(t, "relay").String()
	port := rapid.IntRange(1, 65535).Draw(t, "port")
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	if flat && (kind == 8 || kind == 9) {
		kind = 0
	}
	switch kind {
	case 0, 1, 2, 3:
		return fmt.Sprintf("dnsaddr=/ip4/192.0.2.1/tcp/%d/p2p/%s", port, id)
	case 4:
		return fmt.Sprintf("dnsaddr=/ip6/2001:db8::1/udp/%d/quic-v1/p2p/%s", port, id)
	case 5:
		return fmt.Sprintf("dnsaddr=/ip4/192.0.2.1/tcp/%d", port)
	case 6:
		return rapid.SampledFrom([]string{"v=spf1 -all", "dnsaddr=", "dnsaddr=/ip4/1.2.3/tcp/1", " dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/" + id, "DNSADDR=/ip4/192.0.2.1/tcp/1/p2p/" + id}).Draw(t, "text")
	case 7:
		return "dnsaddr=/dns4/relay.example/tcp/1/p2p/" + id
	}
	pointer := fmt.Sprintf("dnsaddr=/dnsaddr/n%d.%s", rapid.IntRange(0, names).Draw(t, "name"), fleetDomain)
	if kind == 9 {
		pointer += "/p2p/" + id
	}
	return pointer
}

// compare holds a model to what was found: addresses that could be dialed, in their order.
func compare(t *rapid.T, who string, found []ma.Multiaddr, err error, model dnsaddr.Resolution, pinned bool) {
	if (err != nil) != (model.Failed == dnsaddr.LostMissing) {
		t.Fatalf("%s: error %v, the model fails for %q", who, err, model.Failed)
	}
	if model.Queries >= 500 {
		return // a circle: the model ends before the client does
	}
	want := []string{}
	for _, m := range found {
		text := m.String()
		if strings.HasPrefix(text, "/dnsaddr/") || !pinned && !strings.Contains(text, "/p2p/") {
			continue
		}
		want = append(want, text)
	}
	if !slices.Equal(model.Addrs, want) && len(model.Addrs)+len(want) > 0 {
		t.Fatalf("%s finds %d\n%s\nthe model %d\n%s", who, len(want), strings.Join(want, "\n"), len(model.Addrs), strings.Join(model.Addrs, "\n"))
	}
}
