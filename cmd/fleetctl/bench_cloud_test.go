//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest"
	"github.com/relayfleet/fleetctl/pkg/provider/digitalocean/dotest/box"
)

// BenchmarkUpDroplets brings three droplets of a simulated DigitalOcean up, from nothing to
// verified, and runs up once more with 40 ms each way to the API and to the SSH of every
// box; relays are probed without delay. "up-s" is without "boot-s", the longest that the cloud itself took to boot a machine.
func BenchmarkUpDroplets(b *testing.B) {
	const each = 40 * time.Millisecond
	var up, boot, again time.Duration
	for b.Loop() {
		w := newBenchCloud(b)
		up += w.fleetctl(b, "up", "--yes", "-q") - w.boot()
		boot += w.boot()
		w.delay.Store(int64(each))
		again += w.fleetctl(b, "up", "--yes", "-q")
		w.delay.Store(0)
		w.fleetctl(b, "down", "--yes", "--expect-count", "3", "-q")
		w.close(b)
	}
	b.ReportMetric(up.Seconds()/float64(b.N), "up-s")
	b.ReportMetric(boot.Seconds()/float64(b.N), "boot-s")
	b.ReportMetric(again.Seconds()/float64(b.N), "second-up-at-80ms-s")
	b.ReportMetric(0, "ns/op")
}

// benchCloud is a simulated cloud whose API and SSH are behind wires that delay.
type benchCloud struct {
	dir   string
	boxes *box.Cloudlike
	cloud *dotest.Cloud
	api   *httptest.Server
	url   string
	delay atomic.Int64 // one way, of connections made from now on

	mu      sync.Mutex
	wires   []net.Listener
	longest time.Duration
}

var _ dotest.Boxes = (*benchCloud)(nil)

func newBenchCloud(b *testing.B) *benchCloud {
	b.Helper()
	w := &benchCloud{dir: b.TempDir()}
	w.boxes = box.New(filepath.Join(w.dir, "droplets"), nil)
	w.cloud = dotest.New(dotest.Config{Boxes: w})
	w.api = httptest.NewServer(w.cloud.Handler())
	front, err := w.wire("127.0.0.1:0", w.api.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	w.url = "http://" + front
	const spec = `name: bench
provider: digitalocean
nodes: [{region: nyc1}, {region: fra1}, {region: sgp1}]
digitalocean: {ssh_port: 2222}
relay: {network: /bench, quic_port: 0}
dns: {zone: local, domain: p2p.bench.test, ttl: 1, min_relays: 2}
rollout: {min_healthy_time: 0s, drain_timeout: 1s}
`
	if err := os.WriteFile(filepath.Join(w.dir, "fleet.yaml"), []byte(spec), 0o600); err != nil {
		b.Fatal(err)
	}
	return w
}

// fleetctl runs a command and returns how long it took.
func (w *benchCloud) fleetctl(b *testing.B, args ...string) time.Duration {
	b.Helper()
	c := exec.CommandContext(b.Context(), built(b, "fleetctl"), args...)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(w.dir, "state"), "HOME="+w.dir,
		"DIGITALOCEAN_API_URL="+w.url, "DIGITALOCEAN_TOKEN="+dotest.DefaultToken)
	began := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("fleetctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return time.Since(began)
}

func (w *benchCloud) boot() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest
}

func (w *benchCloud) close(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.cloud.Close(ctx); err != nil {
		b.Error(err)
	}
	if err := w.boxes.Close(ctx); err != nil {
		b.Error(err)
	}
	w.api.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.wires {
		_ = l.Close()
	}
}

// Boot boots a machine and puts a wire before its SSH, at another address. That is the
// machine's for everybody: its relay listens there itself.
func (w *benchCloud) Boot(ctx context.Context, m dotest.Machine) ([]netip.Addr, error) {
	began := time.Now()
	addrs, err := w.boxes.Boot(ctx, m)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.longest = max(w.longest, time.Since(began))
	w.mu.Unlock()
	inner := addrs[0].As4()
	outer := netip.AddrFrom4([4]byte{127, 240, inner[1], inner[3]})
	const ssh = 2222
	_, err = w.wire(netip.AddrPortFrom(outer, ssh).String(), netip.AddrPortFrom(addrs[0], ssh).String())
	return []netip.Addr{outer}, err
}

func (w *benchCloud) PowerOff(ctx context.Context, id int) error { return w.boxes.PowerOff(ctx, id) }
func (w *benchCloud) PowerOn(ctx context.Context, id int) error  { return w.boxes.PowerOn(ctx, id) }
func (w *benchCloud) Destroy(ctx context.Context, id int) error  { return w.boxes.Destroy(ctx, id) }

// wire passes connections on, and returns where it listens.
func (w *benchCloud) wire(from, to string) (string, error) {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return "", fmt.Errorf("wire to %s: %w", to, err)
	}
	w.mu.Lock()
	w.wires = append(w.wires, l)
	w.mu.Unlock()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			delay := time.Duration(w.delay.Load())
			go carry(far, near, delay)
			go carry(near, far, delay)
		}
	}()
	return l.Addr().String(), nil
}

// carry copies what comes, each piece so much later, and then closes the other end.
func carry(to, from net.Conn, delay time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	queue := make(chan piece, 4096)
	go func() {
		defer close(queue)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				queue <- piece{time.Now().Add(delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range queue {
		<-time.After(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			_ = from.Close() // and the queue ends
		}
	}
	_ = to.Close()
}
