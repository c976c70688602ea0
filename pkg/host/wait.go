package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/stats"
)

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	heartbeat  = 30 * time.Second
	// maxRestarts is how often systemd may restart a relay during one wait before the
	// wait ends: it will not come up by itself.
	maxRestarts = 3
	// tailLines of the journal stand in the error of a relay that did not come up.
	tailLines = 20
)

// NotServing is a relay that did not serve when the wait for it ended.
type NotServing struct {
	Waited  time.Duration
	Last    string   // what the last look found
	Unit    string   // the state of the service
	Journal []string // its last lines, cleaned; empty if they could not be read
	Err     error    // the context's error where that ended the wait
}

func (e *NotServing) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wait until the relay serves: gave up after %s: %s", e.Waited.Round(time.Millisecond), e.Last)
	if e.Unit != "" {
		b.WriteString("; " + e.Unit)
	}
	if len(e.Journal) > 0 {
		b.WriteString("; its last words:\n  " + strings.Join(e.Journal, "\n  "))
	}
	return b.String()
}

// Unwrap is why the wait ended early, if it did.
func (e *NotServing) Unwrap() error { return e.Err }

// Hint says where to look further.
func (e *NotServing) Hint() string {
	return "Read more of what the relay says with fleetctl logs, then run the same command again."
}

// serve waits until the relay says that it serves, its process has ended for good, or
// the healthy deadline has passed.
func (b box) serve(ctx context.Context, start unit) error {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, b.cfg.HealthyDeadline)
	defer cancel()
	api := b.api()
	defer api.close()
	began, said := time.Now(), time.Now()
	end := &NotServing{Last: "nothing was seen yet"}
	restarts := start.Restarts
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		over, ok := b.look(ctx, api, &restarts, end)
		if ok {
			return nil
		}
		if !over {
			select {
			case <-ctx.Done():
				over = true
			case <-time.After(pause):
			}
		}
		if over {
			end.Waited, end.Err = time.Since(began), parent.Err()
			end.Journal = b.tail(parent)
			return end
		}
		if time.Since(said) >= heartbeat {
			said = time.Now()
			b.log.InfoContext(ctx, "waiting until the relay serves", slog.String("node", b.m.Node),
				slog.Duration("elapsed", time.Since(began)), slog.Duration("deadline", b.cfg.HealthyDeadline), slog.String("last", end.Last))
		}
	}
}

// look asks once. Restarts is how often systemd had restarted the relay when the wait
// began. Over says that waiting longer is of no use.
func (b box) look(ctx context.Context, api api, restarts *int, end *NotServing) (over, ok bool) {
	ready, ok, reason := readiness(api.get(ctx, pathReady))
	if ok {
		return false, true
	}
	if ctx.Err() != nil && end.Unit != "" {
		return true, false // the deadline cut this look short: the one before says more
	}
	end.Last = reason
	if ready.Draining {
		end.Last = "it is draining: " + reason
		return true, false
	}
	u, err := b.unit(ctx)
	if err != nil {
		end.Unit = clean(err.Error(), 300)
		return false, false
	}
	end.Unit = u.String()
	*restarts = min(*restarts, u.Restarts) // systemd counts anew after a start by hand
	dead := u.Active == "inactive" || u.Active == "failed"
	return dead || u.Restarts >= *restarts+maxRestarts, false
}

// tail reads the last lines of the journal, even where the wait was given up.
func (b box) tail(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quick)
	defer cancel()
	out, err := b.exec(ctx, managerOf(b.m).journal(tailLines, false))
	if err != nil {
		return nil
	}
	return lines(out, tailLines)
}

// errOtherBinary: the box runs another binary than the one that was installed.
var errOtherBinary = errors.New("the box runs another binary than the one that was installed")

// assertRuns reads which binary runs and compares it with the wanted one.
func (b box) assertRuns(ctx context.Context, sha256 string) error {
	api := b.api()
	defer api.close()
	var v stats.Version
	if err := api.get(ctx, pathVersion).decode(pathVersion, &v); err != nil {
		return fmt.Errorf("check which binary runs: %w", err)
	}
	if v.SHA256 != sha256 {
		return fmt.Errorf("%w: it says %q, wanted %s", errOtherBinary, clean(v.SHA256, 80), sha256)
	}
	return nil
}
