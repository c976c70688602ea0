package local_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/dnsaddr"
	"github.com/relayfleet/fleetctl/dnsaddr/zonetest"
	"github.com/relayfleet/fleetctl/pkg/resolve"
	"github.com/relayfleet/fleetctl/pkg/zone/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apex = "p2p.zone.test"
	name = "_dnsaddr.p2p.zone.test"
	peer = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
)

func relay(host string) dnsaddr.Record {
	return dnsaddr.Record{Name: name, Value: "dnsaddr=/ip4/" + host + "/tcp/9100" + peer, TTL: 2 * time.Second, Comment: "fleetctl:demo/nyc1-1"}
}

// serve runs a server of dir until the test ends, or until the returned stop.
func serve(t *testing.T, dir string) (hostPort string, stop func()) {
	t.Helper()
	s := local.NewServer(dir, apex, slog.New(slog.DiscardHandler))
	hostPort, err := s.Listen(t.Context())
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v after the end of its context, want nil", err)
		}
	}
	t.Cleanup(stop)
	return hostPort, stop
}

func open(t *testing.T, dir string) *local.Zone {
	t.Helper()
	z, err := local.New(dir, apex)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return z
}

func served(t *testing.T) (z *local.Zone, dir, hostPort string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "zone")
	hostPort, _ = serve(t, dir)
	return open(t, dir), dir, hostPort
}

func apply(t *testing.T, z dnsaddr.Zone, c dnsaddr.Changes) {
	t.Helper()
	if err := z.Apply(t.Context(), name, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

func answers(t *testing.T, server string) []string {
	t.Helper()
	got, _, err := resolve.Values(t.Context(), server, name)
	if err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	return got
}

func TestZone_KeepsTheContract(t *testing.T) {
	zonetest.Run(t, func(t *testing.T) dnsaddr.Zone {
		z, _, _ := served(t)
		return z
	})
}

func TestZone_ServerAnswersWithTheResultWhenApplyReturns(t *testing.T) {
	z, _, server := served(t)
	for range 20 {
		apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
		if got := answers(t, server); len(got) != 1 || got[0] != relay("192.0.2.1").Value {
			t.Fatalf("got %q, want the record that was added", got)
		}
		have, err := z.Records(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, z, dnsaddr.Changes{Remove: have})
		if got := answers(t, server); len(got) != 0 {
			t.Fatalf("got %q, want nothing after the removal", got)
		}
	}
}

// Contract section 7, row 2: deleted before created.
func TestContract02_NameIsNeverEmptyDuringAReplacement(t *testing.T) {
	z, _, server := served(t)
	a, b := relay("192.0.2.1"), relay("192.0.2.2")
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{a}})
	done := make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		for asked := 0; ; asked++ {
			select {
			case <-done:
				if asked == 0 {
					return errors.New("never asked")
				}
				return nil
			default:
			}
			got, _, err := resolve.Values(context.WithoutCancel(t.Context()), server, name)
			if err != nil {
				return err
			}
			if len(got) == 0 {
				return errors.New("the name was empty")
			}
		}
	})
	for i := range 40 {
		want := []dnsaddr.Record{a}
		if i%2 == 0 {
			want[0] = b
		}
		have, err := z.Records(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, z, dnsaddr.Diff("demo", have, want))
	}
	close(done)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Contract section 7, row 3: records of others deleted.
func TestContract03_ForeignBootnodeSurvivesSyncAndTearDown(t *testing.T) {
	z, _, server := served(t)
	foreign := relay("198.51.100.7")
	foreign.Comment = "boot of a friend"
	apply(t, z, dnsaddr.Changes{Add: []dnsaddr.Record{foreign, relay("192.0.2.1")}})
	have, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, z, dnsaddr.Diff("demo", have, nil))
	if got := answers(t, server); len(got) != 1 || got[0] != foreign.Value {
		t.Errorf("got %q, want the foreign record alone", got)
	}
	left, err := z.Foreign(t.Context(), "demo")
	if err != nil || len(left) != 1 || left[0].Value != foreign.Value {
		t.Errorf("Foreign: got %v, %v, want the foreign record", left, err)
	}
	if err := z.Remove(t.Context()); !errors.Is(err, local.ErrNotEmpty) {
		t.Errorf("Remove: got %v, want ErrNotEmpty", err)
	}
}

// Contract section 7, row 5: runs without a change that write.
func TestContract05_SecondRunWritesNothing(t *testing.T) {
	z, dir, _ := served(t)
	want := []dnsaddr.Record{relay("192.0.2.1"), relay("192.0.2.2")}
	apply(t, z, dnsaddr.Diff("demo", nil, want))
	before, err := os.ReadFile(filepath.Join(dir, "zone.json"))
	if err != nil {
		t.Fatal(err)
	}
	have, err := z.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	c := dnsaddr.Diff("demo", have, want)
	if !c.Empty() {
		t.Errorf("second run: got changes %+v, want none", c)
	}
	apply(t, z, c)
	apply(t, z, dnsaddr.Changes{Add: want}) // not even where the caller did not look
	after, err := os.ReadFile(filepath.Join(dir, "zone.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != string(before) {
		t.Errorf("the zone was written: got %s, want %s", after, before)
	}
}

// Contract section 7, row 6: no check after publishing, no lock.
func TestContract06_PublishingToADeadServerIsAnErrorWithAHint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "zone")
	_, stop := serve(t, dir)
	stop()
	z := open(t, dir)
	local.SetPatience(z, 50*time.Millisecond)
	err := z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{relay("192.0.2.1")}})
	if !errors.Is(err, local.ErrNotServed) {
		t.Fatalf("got error %v, want ErrNotServed", err)
	}
	var h interface{ Hint() string }
	if !errors.As(err, &h) || !strings.Contains(h.Hint(), "fleetctl up") {
		t.Errorf("got error %v without a hint that names the command", err)
	}
	serve(t, dir) // the same port, the same records
	z = open(t, dir)
	apply(t, z, dnsaddr.Changes{})
	if s := z.Status(t.Context()); !s.Serving {
		t.Errorf("status %+v after the restart, want serving", s)
	}
}

func TestContract06_TwoZonesWritingAtOnceLoseNothing(t *testing.T) {
	_, dir, server := served(t)
	var g errgroup.Group
	const writers, each = 4, 6
	for w := range writers {
		z := open(t, dir)
		g.Go(func() error {
			for n := range each {
				r := relay("192.0.2." + string(rune('1'+w)))
				r.Value = strings.Replace(r.Value, "9100", "910"+string(rune('0'+n)), 1)
				if err := z.Apply(t.Context(), name, dnsaddr.Changes{Add: []dnsaddr.Record{r}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if got := answers(t, server); len(got) != writers*each {
		t.Errorf("got %d records, want %d", len(got), writers*each)
	}
}
