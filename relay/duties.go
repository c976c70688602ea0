package relay

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/libp2p/go-libp2p/core/host"
)

// pollEvery is how often the files that others write are looked at. What the
// contract promises is one second.
const pollEvery = 250 * time.Millisecond

// relistenAfter is how long a listener that is down waits for its next try.
const relistenAfter = time.Second

// watch looks after the drain file, the fleet's peers, an import and the listeners.
func (r *Relay) watch(ctx context.Context, s *stack) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	listened := time.Now()
	r.fleet.protect(s.host)
	for {
		r.applyDraining(s.hop)
		if r.fleet.reread() {
			r.fleet.protect(s.host)
		}
		if err := r.archive.takeImport(time.Now()); err != nil {
			r.archive.complain(importFile, err)
		}
		if now := time.Now(); now.Sub(listened) >= relistenAfter && !r.stopping.Load() {
			r.wished.open(s.host.Network())
			listened = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// applyDraining follows the drain file. A relay that stops drains whatever the file says.
func (r *Relay) applyDraining(h *hopHost) {
	on := r.stopping.Load() || exists(filepath.Join(r.cfg.State, drainFile))
	if h.drain(on) {
		r.log.Info("draining", slog.Bool("on", on))
	}
}

// dialFleet keeps this relay connected to the others of its fleet.
func (r *Relay) dialFleet(ctx context.Context, h host.Host) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if !r.stopping.Load() {
			r.fleet.dial(ctx, h, time.Now())
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// writeCensus writes the census on a timer, however busy the relay is.
func (r *Relay) writeCensus(ctx context.Context) {
	tick := time.NewTicker(r.cfg.CensusEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if err := r.archive.flush(now); err != nil {
				r.log.Error("census not written", slog.Any("cause", err))
			}
		}
	}
}

// countMinutes notes at the end of every whole minute how many users there are.
func (r *Relay) countMinutes(ctx context.Context) {
	for {
		now := time.Now()
		next := time.NewTimer(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
			r.ledger.minute(time.Now())
		}
	}
}

// drain refuses new reservations, writes the census, and gives open circuits their
// grace. Hurry ends it.
func (r *Relay) drain(s *stack) {
	r.stopping.Store(true)
	r.tell(daemon.SdNotifyStopping)
	r.applyDraining(s.hop)
	r.log.Info("stopping", slog.Int64("circuits", r.tracer.open.Load()), slog.Duration("grace", r.cfg.Grace))
	if err := r.archive.flush(time.Now()); err != nil {
		r.log.Error("census not written", slog.Any("cause", err))
	}
	over := time.NewTimer(r.cfg.Grace)
	defer over.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.tracer.open.Load() > 0 {
		select {
		case <-tick.C:
		case <-over.C:
			r.log.Warn("circuits cut off", slog.Int64("circuits", r.tracer.open.Load()))
			return
		case <-r.hurry:
			r.log.Warn("circuits cut off", slog.Int64("circuits", r.tracer.open.Load()))
			return
		}
	}
}
