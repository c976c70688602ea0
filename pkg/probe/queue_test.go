package probe

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
)

// counting counts the reservations of a relay.
type counting struct {
	relay.MetricsTracer
	open, peak, granted atomic.Int64
}

func (*counting) RelayStatus(bool)                 {}
func (*counting) ReservationRequestHandled(status) {}
func (*counting) ConnectionOpened()                {}
func (*counting) ConnectionClosed(time.Duration)   {}
func (*counting) ConnectionRequestHandled(status)  {}
func (*counting) BytesTransferred(int)             {}
func (c *counting) ReservationClosed(n int)        { c.open.Add(int64(-n)) }
func (c *counting) ReservationAllowed(renewal bool) {
	if !renewal {
		c.granted.Add(1)
		if now := c.open.Add(1); now > c.peak.Load() {
			c.peak.Store(now)
		}
	}
}

func TestProbe_ManyAtOnceLeaveAStockRelayItsSlots(t *testing.T) {
	const relays, each = 5, 10
	p := New(Config{Timeout: 30 * time.Second})
	var g errgroup.Group
	counts := make([]*counting, relays)
	for i := range relays {
		counts[i] = new(counting)
		addr := addrOf(t, newRelay(t, "/ip4/127.0.0.1/tcp/0", relay.WithMetricsTracer(counts[i])))
		for range each {
			g.Go(func() error {
				got, err := p.Probe(t.Context(), addr)
				if err == nil && got.Verdict != fleet.Serving {
					err = fmt.Errorf("%s after %+v", got.Verdict, got.Steps)
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, c := range counts {
		if c.granted.Load() != each {
			t.Errorf("relay %d: %d reservations, want %d", i, c.granted.Load(), each)
		}
		if c.peak.Load() > 8 { // a relay notices a closed connection a little later
			t.Errorf("relay %d: %d reservations at once, a stock relay has 8", i, c.peak.Load())
		}
	}
	if len(p.queue.relays) != 0 || len(p.queue.all) != 0 {
		t.Errorf("the queue is not empty: %d relays, %d probes", len(p.queue.relays), len(p.queue.all))
	}
}
