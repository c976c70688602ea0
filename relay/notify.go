package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd when the relay is up, when it stops, and that it lives.
// Outside systemd every call does nothing.
func (r *Relay) notify(ctx context.Context) {
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			r.log.Warn("systemd not notified", slog.Any("cause", err))
		}
	}
	var alive <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		tick := time.NewTicker(every / 2)
		defer tick.Stop()
		alive = tick.C
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	ready, stopping := false, false
	for {
		if !ready && r.serving() {
			ready = true
			tell(daemon.SdNotifyReady)
		}
		if !stopping && r.stopping.Load() {
			stopping = true
			tell(daemon.SdNotifyStopping)
		}
		select {
		case <-ctx.Done():
			return
		case <-alive:
			r.ledger.figures() // a deadlock there is what the watchdog is for
			tell(daemon.SdNotifyWatchdog)
		case <-poll.C:
		}
	}
}

// serving reports whether at least one listener is up: a relay that drains, or that
// waits for one port, has started.
func (r *Relay) serving() bool {
	for _, l := range r.wished.view() {
		if l.Up {
			return true
		}
	}
	return false
}
