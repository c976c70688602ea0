package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// logMax is the size in bytes from which the supervisor's log is begun anew at a start.
const logMax = 1 << 20

// hangTimeout is how long a supervisor that lives may keep silent.
const hangTimeout = 10 * time.Second

// find returns the supervisor that lives, if one does. Where the clock was set since it
// started its start time reads differently: its answer counts for more. One that lives and does not
// answer is an error: what its boxes are like is unknown.
func (p *Provider) find(ctx context.Context) (info, bool, error) {
	deadline := time.Now().Add(hangTimeout)
	for {
		at, alive, err := supervised(p.cfg.Dir)
		if err != nil || (!alive && at.Socket == "") {
			return info{}, false, err
		}
		asking, cancel := context.WithDeadline(ctx, deadline)
		a, err := post(asking, at.Socket, pathInfo, request{})
		cancel()
		if err == nil && a.Info != nil && a.Info.Dir == at.Dir {
			return at, true, nil
		}
		if ctx.Err() != nil {
			return info{}, false, ctx.Err()
		}
		if !alive {
			return info{}, false, nil // killed: only its note is left
		}
		if time.Now().After(deadline) {
			return info{}, false, fleet.WithHint(
				fmt.Errorf("the supervisor, process %d, does not answer: %w", at.Proc.PID, err),
				fmt.Sprintf("End process %d, then run the same command again.", at.Proc.PID))
		}
		if err := pause(ctx); err != nil { // it may be about to end, or to open its socket anew
			return info{}, false, err
		}
	}
}

// pause is the time between two looks.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

// ended waits until a supervisor is gone, or another one is there.
func (p *Provider) ended(ctx context.Context, was info, most time.Duration) error {
	deadline := time.Now().Add(most)
	for {
		at, alive, err := supervised(p.cfg.Dir)
		if err != nil || !alive || at.Proc != was.Proc {
			return err
		}
		if time.Now().After(deadline) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// ensure returns the supervisor that lives, or starts one. Of two that start one at
// once, one waits for the other.
func (p *Provider) ensure(ctx context.Context) (info, error) {
	at, alive, err := p.find(ctx)
	if alive || err != nil {
		return at, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.StartTimeout+hangTimeout)
	defer cancel()
	lock, err := lockPath(ctx, filepath.Join(p.cfg.Dir, startLockFile))
	if err != nil {
		return info{}, fmt.Errorf("start supervisor: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if at, alive, err := p.find(ctx); alive || err != nil {
		return at, err
	}
	at, err = p.spawn(ctx)
	if err != nil {
		return info{}, fmt.Errorf("start supervisor: %w", err)
	}
	return at, nil
}

// spawn starts a supervisor that outlives this process, and waits until it answers.
func (p *Provider) spawn(ctx context.Context) (info, error) {
	path := filepath.Join(p.cfg.Dir, logFile)
	log, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the fleet's directory
	if err != nil {
		return info{}, boxsim.Explain(err)
	}
	defer func() { _ = log.Close() }()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return info{}, err
	}
	if begin > logMax {
		if err := log.Truncate(0); err != nil {
			return info{}, err
		}
		begin = 0
	}
	cmd := exec.Command(p.cfg.Supervise[0], p.cfg.Supervise[1:]...) //nolint:gosec,noctx // ourselves, and it outlives us
	cmd.Dir = string(filepath.Separator)
	cmd.Stdout, cmd.Stderr = log, log
	pid, err := boxsim.Detach(cmd)
	if err != nil {
		return info{}, err
	}
	p.cfg.Log.DebugContext(ctx, "supervisor started", slog.Int("pid", pid))
	deadline := time.Now().Add(p.cfg.StartTimeout)
	for {
		if at, alive, err := supervised(p.cfg.Dir); err == nil && alive {
			if a, err := post(ctx, at.Socket, pathInfo, request{}); err == nil && a.Info != nil {
				return at, nil
			}
		}
		if _, done, child := boxsim.Reap(pid); (done || !child) && !p.locked() {
			return info{}, fleet.WithHint(fmt.Errorf("it ended at once: %s", lastLine(written(log, begin))), "Read "+path+".")
		}
		if time.Now().After(deadline) {
			return info{}, fleet.WithHint(fmt.Errorf("process %d does not answer after %s", pid, p.cfg.StartTimeout), "Read "+path+".")
		}
		if err := pause(ctx); err != nil {
			return info{}, err
		}
	}
}

// locked reports whether some supervisor has the directory: one that was started by a
// command that is gone may be just about to answer.
func (p *Provider) locked() bool {
	l, err := tryLock(filepath.Join(p.cfg.Dir, lockFile))
	if l != nil {
		_ = l.Close()
	}
	return l == nil && err == nil
}

// written is what was appended to a log since begin, its end if that is much.
func written(log *os.File, begin int64) string {
	const most = 8 << 10
	if size, err := log.Seek(0, io.SeekEnd); err == nil && size-begin > most {
		begin = size - most
	}
	text := make([]byte, most)
	n, err := log.ReadAt(text, begin)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return string(text[:n])
}
