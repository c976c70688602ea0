package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
	"github.com/relayfleet/fleetctl/stats"
)

// What the daemon is asked for a collection, and its bounds.
const (
	pathTelemetry = "/api/telemetry"
	pathDelta     = "/api/census/delta"

	collectTimeout = censusTimeout // for one box, whatever is read
	pageTimeout    = time.Minute   // for one page of a delta, once it is being answered
	maxPages       = 100           // of one collection; the next one goes on
)

// Collect reads what is new at the relay of m since an earlier reading: its telemetry,
// and what changed in its census after the cursor of that reading; "" asks for all of it.
// Everything is read at once over the shared connection, with a deadline for the box. A
// cursor holds how far the census and the minutes of the telemetry were read: it means
// nothing to others than Collect.
//
// A relay that has neither is read as by Report, and marked as old. Of one whose daemon
// does not answer, or not with a delta, the register is read from its file; the cursor
// is then the one that was given. A page of a delta that is damaged is named and read
// again the next time; if it is damaged then too, all is read from the beginning, and what
// makes no sense there is left out and named until a day later that is read again. What
// could not be read is missing in the reading, and Err is the first reason. Collect changes
// nothing.
func (h *Hosts) Collect(ctx context.Context, m fleet.Machine, after string) stats.Reading {
	began := time.Now()
	out := h.collect(ctx, m, after, began)
	out.At, out.Took = began, time.Since(began)
	return out
}

func (h *Hosts) collect(ctx context.Context, m fleet.Machine, after string, began time.Time) stats.Reading {
	out := stats.Reading{Node: m.Node, Region: m.Region}
	b, err := h.box(m)
	if err != nil {
		out.Err = err
		return out
	}
	whole, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	api := b.api()
	defer api.close()
	held := parsePlace(after)
	var telemetry answer
	var census changes
	var peerID text
	var peerErr error
	var wg sync.WaitGroup
	wg.Go(func() { telemetry = api.compressed(whole, held.telemetryPath()) })
	wg.Go(func() { census = api.changes(whole, held, began) })
	wg.Go(func() { peerID, peerErr = b.deadlineText(whole, b.own(PeerIDFile)) })
	wg.Wait()
	if telemetry.unknownPath() {
		out = h.Report(whole, m)
		out.Old = true
		return out
	}
	c := collection{out: out}
	c.peerID(b.own(PeerIDFile), peerID, peerErr)
	c.telemetry(telemetry)
	c.changes(held, census)
	var lost *sshx.TransportError
	if c.out.Delta == nil && !errors.As(peerErr, &lost) {
		entries, there, err := b.registry(whole)
		if !there && err == nil {
			entries, err = b.noRegistry(nil)
		}
		c.out.Registry, c.out.Cursor = entries, c.place(held, census).String()
		c.wrong(err)
	}
	return c.out
}

// unknownPath reports whether the daemon is of before this path: it answers, and has no
// such thing.
func (a answer) unknownPath() bool {
	return a.err == nil && (a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented)
}

// collection puts a reading together.
type collection struct {
	out      stats.Reading
	stranger bool // another relay answered
}

// wrong notes a reason why a part is missing, or that a part of it is damaged.
func (c *collection) wrong(err error) {
	if c.out.Broken == nil {
		c.out.Broken = brokenCensus(err)
	}
	var damaged *stats.DamagedError
	switch {
	case err == nil:
	case errors.As(err, &damaged):
		c.out.LeftOut += damaged.Damaged
		c.out.Warnings = append(c.out.Warnings, clean(err.Error(), 500))
	case c.out.Err != nil && err.Error() != c.out.Err.Error():
		c.out.Warnings = append(c.out.Warnings, clean(err.Error(), 500))
	case c.out.Err == nil:
		c.out.Err = err
	}
}

func (c *collection) peerID(file string, read text, err error) {
	if id := strings.TrimSpace(read.body); err == nil && id != "" {
		c.out.PeerID, err = checkPeerID(id)
	}
	if err != nil {
		c.out.Warnings = append(c.out.Warnings, file+": "+clean(err.Error(), 300))
	}
}

// telemetry takes the answer of the relay itself.
func (c *collection) telemetry(a answer) {
	t, err := parsed(a, pathTelemetry, time.Time{}, func(body []byte, _ time.Time) (stats.Telemetry, error) { return stats.ParseTelemetry(body) })
	switch {
	case err != nil:
		c.wrong(err)
		return
	case c.out.PeerID != "" && t.PeerID != c.out.PeerID:
		c.stranger = true
		c.wrong(fmt.Errorf("another relay answered: %s, not %s", t.PeerID, c.out.PeerID))
		return
	}
	c.out.Telemetry, c.out.Answered = t, a.at
}

// changes takes what was read of the census, and where to go on.
func (c *collection) changes(held place, d changes) {
	for _, err := range append(d.damaged, d.err) {
		c.wrong(err)
	}
	if !d.read || c.stranger {
		return
	}
	if d.carried > 0 {
		c.out.LeftOut += d.carried
		c.out.Warnings = append(c.out.Warnings, fmt.Sprintf("%d entries of its census made no sense when all of it was read last, %s",
			d.carried, time.Unix(d.place.at, 0).UTC().Format(time.RFC3339)))
	}
	c.out.Delta, c.out.DeltaFull = d.entries, d.full
	c.out.Cursor = c.place(held, d).String()
}

// place is where to go on.
func (c *collection) place(held place, d changes) place {
	if c.stranger {
		return held
	}
	p := d.place
	if d.read {
		p.since = held.after(c.out.Telemetry)
	}
	return p
}
