// Command sampler is a user of a fleet while something is done to it. It follows the
// fleet's published records as clients do, holds a reservation at every published relay
// and a circuit through one of them, and ten times a second asks all published relays at
// once for an answer. When it is told to stop (SIGTERM) it prints what it saw:
//
//	minimum of answering relays: 2 (floor 2, 412 samples in 41.3 s)
//	reservations: never fewer than 2 held, 4 made
//	circuit: 405 of 412 echoes came back, opened 2 times, longest gap 0.6 s
//
// It exits 1 if the relays that answered were ever fewer than the floor, if it was ever
// without a reservation, if a circuit was gone for longer than a client waits, or if it
// could not sample often enough to know.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	tick     = time.Second / 10
	patience = 5 * time.Second  // an answer that takes longer is none
	redial   = time.Second / 2  // between two attempts at a relay that does not answer
	longest  = 10 * time.Second // that a circuit may be gone
)

type options struct {
	server, name string  // of the zone
	floor        int     // relays that must answer in every sample
	through      peer.ID // the relay that the circuit goes through at first
	ready        string  // a file to make when sampling has begun
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sampler:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	c, err := newClient(o)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(o.ready, nil, 0o600); err != nil {
		return err
	}
	seen := c.watch(ctx)
	fmt.Fprint(os.Stdout, seen.report(o.floor))
	return seen.verdict(o.floor)
}

func parse(args []string) (options, error) {
	var o options
	var through string
	f := flag.NewFlagSet("sampler", flag.ContinueOnError)
	f.StringVar(&o.server, "dns", "", "host:port of the zone's server")
	f.StringVar(&o.name, "name", "", "the name that holds the records")
	f.IntVar(&o.floor, "floor", 1, "how many relays must answer at any time")
	f.StringVar(&through, "through", "", "peer ID of the relay that the circuit goes through at first")
	f.StringVar(&o.ready, "ready", "", "file to make when sampling has begun")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.server == "" || o.name == "" || o.ready == "" {
		return o, errors.New("-dns, -name, -through and -ready are needed, and nothing else")
	}
	var err error
	o.through, err = peer.Decode(through)
	return o, err
}

// watch samples until ctx ends. A sample that waits for an answer holds up no other.
func (c *client) watch(ctx context.Context) tally {
	seen := tally{answering: len(c.relays()), held: len(c.relays())}
	began := time.Now()
	samples := make(chan sample)
	var work sync.WaitGroup
	work.Go(func() { c.keep(ctx) })
	work.Go(func() { seen.echoes, seen.echoed, seen.gap = c.line.talk(ctx) })
	work.Go(func() {
		every(ctx, tick, func() { work.Go(func() { samples <- c.sample(ctx) }) })
	})
	go func() {
		work.Wait()
		close(samples)
	}()
	for s := range samples {
		seen.add(s)
	}
	seen.took = time.Since(began)
	seen.made, seen.opened = c.counts()
	return seen
}

// every calls f again and again, d apart, until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// sample is what one look found.
type sample struct {
	at        time.Time
	answering int     // published relays that answered
	held      int     // reservations at relays that are connected
	why       []error // of those that did not answer
	cut       bool    // it was told to stop meanwhile, which proves nothing
}

// tally is what all samples found.
type tally struct {
	took           time.Duration
	samples        int
	answering      int // the fewest
	worst          sample
	held           int // likewise
	echoes, echoed int // sent, and come back
	gap            time.Duration
	made, opened   int // reservations, circuits
}

func (t *tally) add(s sample) {
	if s.cut {
		return
	}
	t.samples++
	if s.answering < t.answering {
		t.answering, t.worst = s.answering, s
	}
	t.held = min(t.held, s.held)
}

func (t *tally) report(floor int) string {
	return fmt.Sprintf("minimum of answering relays: %d (floor %d, %d samples in %.1f s)\n", t.answering, floor, t.samples, t.took.Seconds()) +
		fmt.Sprintf("reservations: never fewer than %d held, %d made\n", t.held, t.made) +
		fmt.Sprintf("circuit: %d of %d echoes came back, opened %d times, longest gap %.1f s\n", t.echoed, t.echoes, t.opened, t.gap.Seconds())
}

func (t *tally) verdict(floor int) error {
	var errs []error
	if t.answering < floor {
		errs = append(errs, fmt.Errorf("%d relays answered at %s, the floor is %d: %w",
			t.answering, t.worst.at.Format(time.TimeOnly), floor, errors.Join(t.worst.why...)))
	}
	if t.held < 1 {
		errs = append(errs, errors.New("no reservation was held"))
	}
	if t.gap > longest {
		errs = append(errs, fmt.Errorf("the circuit was gone for %s", t.gap.Round(tick)))
	}
	if want := int(t.took / tick / 2); t.samples < max(want, 10) {
		errs = append(errs, fmt.Errorf("%d samples in %s: too few to know", t.samples, t.took.Round(tick)))
	}
	return errors.Join(errs...)
}
