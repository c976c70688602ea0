package relay

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tell says something to systemd. Outside systemd it does nothing.
func (r *Relay) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		r.log.Warn("systemd not notified", slog.Any("cause", err))
	}
}

// notify tells systemd when the relay is up, and then that it lives.
func (r *Relay) notify(ctx context.Context) {
	var alive <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		tick := time.NewTicker(every / 2)
		defer tick.Stop()
		alive = tick.C
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	ready := false
	for {
		if !ready && r.serving() {
			ready = true
			r.tell(daemon.SdNotifyReady)
		}
		select {
		case <-ctx.Done():
			return
		case <-alive:
			r.ledger.figures() // a deadlock there is what the watchdog is for
			r.tell(daemon.SdNotifyWatchdog)
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
