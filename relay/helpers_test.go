package relay

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuitclient "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/relayfleet/fleetctl/stats"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for something that takes milliseconds.
const patience = 20 * time.Second

// running is a relay under test.
type running struct {
	*Relay
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

// loopback is a configuration on free ports with its state in a directory of the test.
func loopback(t *testing.T) Config {
	t.Helper()
	cfg := Default()
	cfg.Name, cfg.Network, cfg.Version = "bitterbot", "/bitterbot", "1.2.3"
	cfg.State = filepath.Join(t.TempDir(), "state")
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	cfg.API = "127.0.0.1:0"
	cfg.Grace = 50 * time.Millisecond
	cfg.CensusEvery = 20 * time.Millisecond
	return cfg
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	r, err := New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	run := &running{Relay: r, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- r.Run(ctx) }()
	t.Cleanup(func() { run.stop() })
	select {
	case <-r.Started():
	case err := <-run.done:
		run.done <- nil
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatal("the relay did not start")
	}
	return run
}

// stop ends the relay as SIGTERM does. Again, it does nothing.
func (r *running) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("Run returned %v, want nil after its context ended", err)
		}
	case <-time.After(patience):
		r.t.Error("Run did not return")
	}
}

// info is where clients find the relay.
func (r *running) info() peer.AddrInfo {
	r.t.Helper()
	infos, err := peer.AddrInfosFromP2pAddrs(r.Addrs()...)
	if err != nil || len(infos) != 1 {
		r.t.Fatalf("addresses %v: %v", r.Addrs(), err)
	}
	return infos[0]
}

// get asks the HTTP API and returns the status.
func (r *running) get(path string, into any) int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.APIAddr().String()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	a, err := transport.RoundTrip(q)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			r.t.Fatalf("GET %s: %s: %v", path, text, err)
		}
	}
	return a.StatusCode
}

// now is the report, taken without the limit on requests.
func (r *running) now() stats.Report { return r.report(time.Now()) }

// client is a libp2p host on TCP that calls itself agent.
func client(t *testing.T, agent string, more ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.NoListenAddrs, libp2p.EnableRelay(), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.UserAgent(agent), libp2p.DisableMetrics(),
	}, more...)...)
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func connect(t *testing.T, h host.Host, to peer.AddrInfo) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.Connect(ctx, to); err != nil {
		t.Fatalf("connect: %v", err)
	}
}

func reserve(t *testing.T, h host.Host, at peer.AddrInfo) (*circuitclient.Reservation, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return circuitclient.Reserve(ctx, h, at)
}

// through opens a stream to a peer that holds a reservation.
func through(t *testing.T, h host.Host, relay peer.AddrInfo, to peer.ID) (network.Stream, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(t.Context(), "test"), patience)
	defer cancel()
	via := ma.StringCast("/p2p/" + relay.ID.String() + "/p2p-circuit")
	if err := h.Connect(ctx, peer.AddrInfo{ID: to, Addrs: []ma.Multiaddr{relay.Addrs[0].Encapsulate(via)}}); err != nil {
		return nil, err
	}
	return h.NewStream(ctx, to, "/test/echo")
}

// echo makes a host send everything back.
func echo(h host.Host) {
	h.SetStreamHandler("/test/echo", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustAddr(t testing.TB, text string) ma.Multiaddr {
	t.Helper()
	addr, err := ma.NewMultiaddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
