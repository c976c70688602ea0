package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/pkg/sshx/sshtest"
	"github.com/relayfleet/fleetctl/stats"
)

// BenchmarkReport reads the statistics of many boxes over real SSH, each iteration with
// new connections, and does the same calls with x/crypto/ssh and nothing else. The
// ratio of the two is the cost of sshx and host.
func BenchmarkReport(b *testing.B) {
	sweep(b, []string{"/api/stats", "/api/bootstrap/census"}, []string{host.PeerIDFile, host.CensusFile}, func(h *host.Hosts, m fleet.Machine) {
		got := h.Report(b.Context(), m)
		if got.Err != nil || len(got.Warnings) != 0 || len(got.Registry) != 1 {
			b.Errorf("Report = %+v", got)
		}
	})
}

// BenchmarkCollect is the same for what is new since an earlier collection: nothing.
func BenchmarkCollect(b *testing.B) {
	sweep(b, []string{"/api/telemetry", "/api/census/delta"}, []string{host.PeerIDFile}, func(h *host.Hosts, m fleet.Machine) {
		got := h.Collect(b.Context(), m, life+"-2")
		if got.Err != nil || len(got.Warnings) != 0 || got.Telemetry == nil || got.Delta == nil {
			b.Errorf("Collect = %+v", got)
		}
	})
}

// sweep measures one reading of all boxes against the same calls made directly.
func sweep(b *testing.B, paths, files []string, read func(*host.Hosts, fleet.Machine)) {
	for _, c := range []struct {
		boxes int
		delay time.Duration
	}{{3, 0}, {100, 40 * time.Millisecond}} {
		b.Run(fmt.Sprintf("boxes=%d/delay=%s", c.boxes, c.delay), func(b *testing.B) {
			boxes := make([]*sshtest.Box, c.boxes)
			for i := range boxes {
				boxes[i] = reportingBox(b, c.delay)
			}
			pins := sshtest.Pins(b, boxes...)
			var ours, bare time.Duration
			for b.Loop() {
				bare += fanOut(boxes, func(x *sshtest.Box) { bareReads(b, x, paths, files) })
				began := time.Now()
				client, err := sshx.New(sshx.Config{Pins: pins, Auth: sshx.Auth{Signers: []ssh.Signer{boxes[0].Signer}}})
				if err != nil {
					b.Fatal(err)
				}
				h := host.New(host.Config{Runner: client, Tunnel: client})
				fanOut(boxes, func(x *sshtest.Box) { read(h, reported(b, x)) })
				ours += time.Since(began)
				_ = client.Close()
			}
			b.ReportMetric(float64(ours)/float64(bare), "x-bare")
			b.ReportMetric(bare.Seconds()*1000/float64(b.N), "bare-ms/op")
			b.ReportMetric(ours.Seconds()*1000/float64(b.N), "ours-ms/op")
		})
	}
}

func fanOut(boxes []*sshtest.Box, do func(*sshtest.Box)) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for _, x := range boxes {
		wg.Go(func() { do(x) })
	}
	wg.Wait()
	return time.Since(began)
}

func reported(tb testing.TB, x *sshtest.Box) fleet.Machine {
	ap, err := netip.ParseAddrPort(x.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	return fleet.Machine{Node: "nyc1-1", Addrs: []netip.Addr{ap.Addr()}, Ports: fleet.Ports{SSH: int(ap.Port())}, User: "root"}
}

// reportingBox is a real SSH server with what a report is made of behind it.
func reportingBox(tb testing.TB, delay time.Duration) *sshtest.Box {
	tb.Helper()
	const peer = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
	mux := http.NewServeMux()
	for path, v := range map[string]any{
		"/api/stats":            stats.Report{PeerID: peer, NATStatus: "public"},
		"/api/bootstrap/census": stats.Census{Enabled: true, GeneratedAt: time.Now().Unix()},
		"/api/telemetry":        someTelemetry(peer),
	} {
		data, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
	mux.HandleFunc("/api/census/delta", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "{\"registry\":%q,\"full\":false}\n{\"cursor\":%q,\"entries\":0,\"more\":false}\n", life, life+"-2")
	})
	api := httptest.NewServer(mux)
	tb.Cleanup(api.Close)
	dir := tb.TempDir()
	for path, text := range map[string]string{host.PeerIDFile: peer + "\n", host.CensusFile: census("AAE=", 3, 1, 2)} {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return sshtest.Start(tb, sshtest.WithDir(dir), sshtest.WithDelay(delay), sshtest.WithTunnel(host.API, api.Listener.Addr().String()))
}

// bareReads makes the calls of a reading with x/crypto/ssh, as directly as possible.
func bareReads(tb testing.TB, x *sshtest.Box, paths, names []string) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(x.HostKey))
	if err != nil {
		tb.Error(err)
		return
	}
	client, err := ssh.Dial("tcp", x.Addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(x.Signer)}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		tb.Error(err)
		return
	}
	defer func() { _ = client.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, path := range paths {
		wg.Go(func() {
			t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return client.DialContext(ctx, "tcp", host.API)
			}}
			defer t.CloseIdleConnections()
			resp, err := (&http.Client{Transport: t}).Get("http://" + host.API + path)
			if err != nil {
				tb.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	}
	files, err := sftp.NewClient(client)
	if err != nil {
		tb.Error(err)
		return
	}
	var reads sync.WaitGroup
	for _, path := range names {
		reads.Go(func() {
			f, err := files.Open(path)
			if err != nil {
				tb.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, f)
			_ = f.Close()
		})
	}
	reads.Wait()
	_ = files.Close()
}
