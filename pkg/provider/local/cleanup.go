package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// Cleanup stops the supervisor, waits until it is gone, and removes the fleet's
// directory with all that is in it: keys, logs, locks. Where [Config.KeepDir] says so,
// only the provider's own files go, and the log says what was left.
func (p *Provider) Cleanup(ctx context.Context) error {
	if err := p.cleanup(ctx); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

func (p *Provider) cleanup(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Lstat(p.cfg.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := p.empty(); err != nil {
		return err
	}
	_, half, err := readRecords(p.cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range half { // what is left of a box may still have a relay
		if strings.HasPrefix(name, ".") {
			continue
		}
		if err := p.Delete(ctx, name); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start, err := lockPath(ctx, filepath.Join(p.cfg.Dir, startLockFile)) // nobody starts another one now
	if err != nil {
		return err
	}
	defer func() { _ = start.Close() }()
	if err := p.halt(ctx); err != nil {
		return err
	}
	lock, err := lockPath(ctx, filepath.Join(p.cfg.Dir, lockFile))
	if err != nil {
		return fmt.Errorf("the supervisor does not end: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if err := p.empty(); err != nil {
		return err
	}
	runtime, err := runtimeDir()
	if err != nil {
		return p.remove(ctx) // there is nothing of ours in it
	}
	socket := socketPath(runtime, p.cfg.Dir) // as long as the directory is there
	return errors.Join(p.remove(ctx), tidyRuntime(runtime, socket))
}

// empty is an error that says how many boxes there are. It counts those of every
// fleet in the directory: none must be removed by accident.
func (p *Provider) empty() error {
	records, _, err := readRecords(p.cfg.Dir)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		return fmt.Errorf("%d machines are left, the first is %s", len(records), records[0].ID)
	}
	return nil
}

// halt asks the supervisor to end, and waits until its process is gone.
func (p *Provider) halt(ctx context.Context) error {
	at, alive, err := p.find(ctx)
	if err != nil || !alive {
		return err
	}
	if _, err := post(ctx, at.Socket, pathStop, request{}); err != nil && !errors.Is(err, errEnding) {
		var its *said
		if errors.As(err, &its) {
			return err
		}
	}
	for {
		_, listed, err := supervised(p.cfg.Dir)
		if err == nil && !listed && at.Proc.PID == os.Getpid() {
			return nil // it ran within this process
		}
		_, _, _ = boxsim.Reap(at.Proc.PID) // where it was started by this process
		if !at.Proc.Alive() {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("the supervisor, process %d, does not end: %w", at.Proc.PID, err)
		}
	}
}

// remove removes the directory, or the provider's part of it.
func (p *Provider) remove(ctx context.Context) error {
	if p.cfg.KeepDir != nil {
		if keep, what := p.cfg.KeepDir(); keep {
			p.cfg.Log.WarnContext(ctx, "the fleet's directory stays", slog.String("dir", p.cfg.Dir), slog.String("because", what))
			errs := []error{os.RemoveAll(filepath.Join(p.cfg.Dir, boxesDir))}
			for _, name := range ownFiles() {
				errs = append(errs, os.RemoveAll(filepath.Join(p.cfg.Dir, name)))
			}
			return errors.Join(errs...)
		}
	}
	return removeWhole(p.cfg.Dir)
}

// removeWhole takes a directory away under another name first: a command that waits for
// its lock may be writing into it, and begins a new one.
func removeWhole(dir string) error {
	gone, err := os.MkdirTemp(filepath.Dir(dir), ".gone-")
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(gone, filepath.Base(dir)))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(gone))
}

// tidyRuntime removes a socket that a killed supervisor left, and the directory of the
// sockets where nothing else is in it.
func tidyRuntime(runtime, socket string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lock, err := tryLock(filepath.Join(runtime, "ports.lock"))
	if err != nil || lock == nil {
		return err // another fleet is picking ports
	}
	defer func() { _ = lock.Close() }()
	if len(readBook(runtime)) > 0 {
		return nil
	}
	for _, name := range []string{bookFile, "ports.lock"} {
		if err := os.Remove(filepath.Join(runtime, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	_ = os.Remove(runtime) // in use by another fleet
	return nil
}
