package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/relayfleet/fleetctl/dnsaddr"
)

// byName is a fleet that clients know by name alone: relays of which some serve, and the
// rest refuse connections.
type byName struct {
	layout dnsaddr.Layout
	nodes  []dnsaddr.Node
	ids    map[string]peer.ID // by node
	serves map[string]bool    // by node
	*nameServer
}

const fleetDomain = "p2p.example"

// newByName publishes n relays in our layout. Of those at the entry name the last serves,
// and so does the last of the others: a client has to come that far.
func newByName(tb testing.TB, n int, network dnsaddr.Network, everyEntry bool) *byName {
	tb.Helper()
	f := &byName{nodes: evenly(n), ids: make(map[string]peer.ID, n), serves: make(map[string]bool)}
	f.layout = dnsaddr.NewLayout(fleetDomain, f.nodes, "")
	var entry, others []string
	for _, node := range f.nodes {
		if f.layout.At(node.Name)[0] == f.layout.Entry() {
			entry = append(entry, node.Name)
		} else {
			others = append(others, node.Name)
		}
	}
	for i, node := range entry {
		f.serves[node] = everyEntry || i == len(entry)-1
	}
	if len(others) > 0 {
		f.serves[others[len(others)-1]] = true
	}
	var records []dnsaddr.Record
	for _, node := range f.nodes {
		id, addr := noRelay(tb)
		if f.serves[node.Name] {
			h := listening(tb)
			id, addr = h.ID(), h.Addrs()[0]
		}
		f.ids[node.Name] = id
		for _, name := range f.layout.At(node.Name) {
			records = append(records, dnsaddr.Record{Name: name, Value: fmt.Sprintf("dnsaddr=%s/p2p/%s", addr, id), TTL: time.Minute})
		}
	}
	f.nameServer = serveNames(tb, dnsaddr.AnswersOf(records), network)
	return f
}

// list is the last name of a node: that of its region, if it has one.
func (f *byName) list(node string) string {
	at := f.layout.At(node)
	return strings.TrimPrefix(at[len(at)-1], "_dnsaddr.")
}

// noRelay is a peer ID at an address that refuses connections.
func noRelay(tb testing.TB) (peer.ID, ma.Multiaddr) {
	tb.Helper()
	_, public, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return id, ma.StringCast("/ip4/127.0.0.1/tcp/1")
}

// listening is a host on loopback, until the test ends.
func listening(tb testing.TB) host.Host {
	tb.Helper()
	return started(tb, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
}

func started(tb testing.TB, opts ...libp2p.Option) host.Host {
	tb.Helper()
	h, err := libp2p.New(append(opts, libp2p.Transport(tcp.NewTCPTransport), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

// client is a go-libp2p host that resolves names at the fleet's server.
func (f *byName) client(tb testing.TB) (host.Host, swarm.ResolverFromMaDNS) {
	tb.Helper()
	r := f.resolver(tb)
	return started(tb, libp2p.NoListenAddrs, libp2p.MultiaddrResolver(r)), r
}

// connectUnpinned is what an application does that has /dnsaddr/<domain> alone: it resolves
// the name and connects to one relay after the other until one answers.
func connectUnpinned(ctx context.Context, h host.Host, r swarm.ResolverFromMaDNS, domain string) (peer.ID, error) {
	addrs, err := r.ResolveDNSAddr(ctx, "", ma.StringCast("/dnsaddr/"+domain), 4, 100)
	if err != nil {
		return "", err
	}
	relays, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return "", err
	}
	err = fmt.Errorf("%s has no relays", domain)
	for _, relay := range relays {
		if err = h.Connect(ctx, relay); err == nil {
			return relay.ID, nil
		}
	}
	return "", err
}

// connectPinned dials /dnsaddr/<domain>/p2p/<id>: the swarm resolves it.
func connectPinned(ctx context.Context, h host.Host, domain string, id peer.ID) error {
	relay, err := peer.AddrInfoFromString("/dnsaddr/" + domain + "/p2p/" + id.String())
	if err != nil {
		return err
	}
	return h.Connect(ctx, *relay)
}

// go-libp2p connects by name to fleets of every size, wherever an answer that it can have
// holds a relay, and nowhere else: a real swarm, a real server and real relays.
func TestByName_GoLibp2pConnects(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, n := range []int{3, 16, 17, 100, 1000} {
		for _, network := range []dnsaddr.Network{
			{UDP: dnsaddr.MaxEDNS}, {UDP: dnsaddr.MaxUDP}, {UDP: dnsaddr.MaxEDNS, NoTCP: true},
		} {
			t.Run(fmt.Sprintf("%d over %s", n, network), func(t *testing.T) {
				f := newByName(t, n, network, false)
				clients := dnsaddr.NewClients(f.answers)
				h, r := f.client(t)

				model := clients.Resolve(dnsaddr.GoLibp2p, network, fleetDomain, "")
				got, err := connectUnpinned(ctx, h, r, fleetDomain)
				if want := model.Failed == ""; (err == nil) != want {
					t.Errorf("by name: got %v, want connected %v", err, want)
				}
				if want := n != 16 || !network.NoTCP; (err == nil) != want {
					t.Errorf("by name: got %v, want connected %v: sixteen need TCP/53, other layouts do not", err, want)
				}
				if err == nil && !slices.Contains(model.Relays, got.String()) {
					t.Errorf("by name: connected to %s, which the model does not try", got)
				}
				if got := f.queries(f.layout.Entry()); model.Failed == "" && got != model.Queries {
					t.Errorf("by name: %d queries, want %d", got, model.Queries)
				}
				for node, serves := range f.serves {
					if !serves {
						continue
					}
					pinned := clients.Resolve(dnsaddr.GoLibp2p, network, f.list(node), f.ids[node].String())
					h, _ := f.client(t)
					err := connectPinned(ctx, h, f.list(node), f.ids[node])
					if want := len(pinned.Relays) == 1; (err == nil) != want {
						t.Errorf("%s by /dnsaddr/%s/p2p/ID: got %v, want connected %v", node, f.list(node), err, want)
					}
					if !network.NoTCP && err != nil {
						t.Errorf("%s by /dnsaddr/%s/p2p/ID: %v, want connected", node, f.list(node), err)
					}
				}
			})
		}
	}
}

// Connecting to a fleet of a thousand relays asks DNS no more than connecting to one of
// three, and as little is received.
func TestByName_AThousandRelaysAskNoMoreThanThree(t *testing.T) {
	for _, n := range []int{3, 1000} {
		f := newByName(t, n, dnsaddr.Network{UDP: dnsaddr.MaxEDNS}, true)
		h, r := f.client(t)
		if _, err := connectUnpinned(t.Context(), h, r, fleetDomain); err != nil {
			t.Fatal(err)
		}
		if got := f.queries(f.layout.Entry()); got != 1 {
			t.Errorf("%d relays: %d queries, want 1", n, got)
		}
		if size := f.answers[f.layout.Entry()].Size(f.layout.Entry(), true); size > dnsaddr.MaxEDNS {
			t.Errorf("%d relays: %d bytes, want at most %d", n, size, dnsaddr.MaxEDNS)
		}
	}
}

// BenchmarkByName_Connect is the time from a name to the first connection: resolve, dial,
// handshake. Aim: at 1,000 relays at most twice that at 3.
func BenchmarkByName_Connect(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := newByName(b, n, dnsaddr.Network{UDP: dnsaddr.MaxEDNS}, true)
			r := f.resolver(b)
			for b.Loop() {
				b.StopTimer()
				h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.MultiaddrResolver(r), libp2p.Transport(tcp.NewTCPTransport),
					libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				_, err = connectUnpinned(b.Context(), h, r, fleetDomain)
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				if err := h.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
