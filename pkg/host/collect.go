package host

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
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
// is then the one that was given. What could not be read is missing in the reading, and
// Err is the first reason. Collect changes nothing.
func (h *Hosts) Collect(ctx context.Context, m fleet.Machine, after string) stats.Reading {
	began := time.Now()
	out := h.collect(ctx, m, after)
	out.At, out.Took = began, time.Since(began)
	return out
}

func (h *Hosts) collect(ctx context.Context, m fleet.Machine, after string) stats.Reading {
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
	var changes delta
	var peerID text
	var peerErr error
	var wg sync.WaitGroup
	wg.Go(func() { telemetry = api.compressed(whole, held.telemetryPath()) })
	wg.Go(func() { changes = api.delta(whole, held.census) })
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
	c.changes(held, changes)
	var lost *sshx.TransportError
	if c.out.Delta == nil && !errors.As(peerErr, &lost) {
		entries, there, err := b.registry(whole)
		if !there && err == nil {
			entries, err = b.noRegistry(nil)
		}
		c.out.Registry, c.out.Cursor = entries, after
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
func (c *collection) changes(held place, d delta) {
	c.wrong(d.err)
	for _, err := range d.damaged {
		c.wrong(err)
	}
	if !d.read || c.stranger {
		return
	}
	c.out.Delta, c.out.DeltaFull = d.entries, d.full
	c.out.Cursor = place{census: d.cursor, since: held.after(c.out.Telemetry)}.String()
}

// place is how far a relay was read: a cursor of its census, and the first minute, in
// UNIX seconds, that was not read yet.
type place struct {
	census string
	since  int64
}

func (p place) String() string {
	if p.since == 0 {
		return p.census
	}
	return p.census + "@" + strconv.FormatInt(p.since, 10)
}

// parsePlace reads what String wrote. What is no minute is none: all are read again.
func parsePlace(text string) place {
	census, minute, _ := strings.Cut(text, "@")
	since, err := strconv.ParseInt(minute, 10, 64)
	if err != nil || since < 0 {
		since = 0
	}
	return place{census, since}
}

func (p place) telemetryPath() string {
	if p.since == 0 {
		return pathTelemetry
	}
	return pathTelemetry + "?since=" + strconv.FormatInt(p.since, 10)
}

// after is the first minute to read next time. A relay whose clock was set back writes
// minutes before the ones that were read, so that is never later than its now.
func (p place) after(t *stats.Telemetry) int64 {
	if t == nil {
		return p.since
	}
	since := p.since
	if n := len(t.Minutes); n > 0 {
		since = t.Minutes[n-1][0] + 60
	}
	return min(since, t.Now-t.Now%60)
}

// delta is what was read of what changed.
type delta struct {
	read    bool // as far as cursor says, and perhaps a part of the page after that
	full    bool
	entries []stats.CensusEntry
	cursor  string
	damaged []error
	err     error // why no more was read
}

// delta reads what changed in the census after a cursor, page by page.
func (a api) delta(ctx context.Context, after string) delta {
	d := delta{cursor: after}
	left := int64(stats.MaxRegistry)
	for range maxPages {
		page, size, err := a.page(ctx, d.cursor)
		if page.Entries != nil {
			if page.Full || !d.read {
				d.read, d.full, d.entries = true, page.Full, []stats.CensusEntry{}
			}
			d.entries = append(d.entries, page.Entries...)
		}
		var damaged *stats.DamagedError
		switch {
		case errors.As(err, &damaged):
			d.damaged = append(d.damaged, err)
		case err != nil:
			d.err = err
			return d
		}
		asked := d.cursor
		if d.cursor = page.End.Cursor; !page.End.More {
			return d
		}
		if left -= size; left < 0 || d.cursor == asked {
			d.err = fmt.Errorf("GET %s: pages without end", pathDelta)
			return d
		}
	}
	d.damaged = append(d.damaged, fmt.Errorf("GET %s: more than %d pages: the rest is read next time", pathDelta, maxPages))
	return d
}

// page reads one page, and how large it was.
func (a api) page(ctx context.Context, after string) (stats.CensusPage, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	path := pathDelta
	if after != "" {
		path += "?after=" + url.QueryEscape(after)
	}
	body, err := a.open(ctx, path)
	if err != nil {
		return stats.CensusPage{}, 0, err
	}
	defer body.close()
	if body.status != http.StatusOK {
		said, _ := body.all(4096)
		return stats.CensusPage{}, 0, fmt.Errorf("GET %s: status %d: %s", pathDelta, body.status, clean(string(said), 200))
	}
	counted := &counter{r: body.r}
	page, err := stats.ParseDelta(counted, time.Now())
	if err != nil {
		err = fmt.Errorf("GET %s: %w", pathDelta, err)
	}
	return page, counted.n, err
}
