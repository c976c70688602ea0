//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// keeper runs a relay and starts it again whenever it ends.
type keeper struct {
	dir, program, config string

	first, last time.Duration // waits before the second start and before any later one
	grace       time.Duration // between SIGTERM and SIGKILL
	limit       int64         // bytes of the log at which it is put aside
	every       time.Duration // between looks at its size

	now kept
}

// run keeps the relay until ctx ends, and then stops it.
func (k *keeper) run(ctx context.Context) error {
	k.now = kept{Keeper: processOf(os.Getpid()), Config: k.config, Result: "success"}
	if err := k.now.write(k.dir); err != nil {
		return err
	}
	wait := k.first
	for {
		began := time.Now()
		k.once(ctx)
		if ctx.Err() != nil {
			k.now.Relay, k.now.Stopped = keptProcess{}, true
			return k.now.write(k.dir)
		}
		if time.Since(began) > k.last {
			wait = k.first // it ran well for a while
		}
		k.now.Relay = keptProcess{}
		k.now.Restarts++
		k.note(k.now.write(k.dir))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, k.last)
	}
}

// note writes what the keeper itself has to say into the relay's log: its own end would
// be the worse answer to a full disk.
func (k *keeper) note(err error) {
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "relay: %v\n", err)
	}
}

// once runs the relay until it ends, by itself or because ctx did.
func (k *keeper) once(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	log, err := openLog(k.dir)
	if err != nil {
		k.note(err)
		k.now.Result, k.now.Status = "exit-code", exitError
		return
	}
	defer func() { _ = log.Close() }()
	c := exec.CommandContext(ctx, k.program, "run", "--config", k.config) // #nosec G204 -- the operator names the program
	c.Dir, c.Stdout, c.Stderr = "/", log, log
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = k.grace
	if err := c.Start(); err != nil {
		k.note(fmt.Errorf("keep: %w", err))
		k.now.Result, k.now.Status = "exit-code", exitError
		return
	}
	k.now.Relay = processOf(c.Process.Pid)
	k.note(k.now.write(k.dir))
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		k.note(rotate(k.dir, k.limit))
		select {
		case <-ended:
			k.now.Result, k.now.Status = howEnded(c.ProcessState)
			return
		case <-tick.C:
		}
	}
}

// howEnded says in the words of systemd how a process ended.
func howEnded(s *os.ProcessState) (result string, status int) {
	ws, ok := s.Sys().(syscall.WaitStatus)
	switch {
	case ok && ws.Signaled():
		return "signal", int(ws.Signal())
	case s.ExitCode() != 0:
		return "exit-code", s.ExitCode()
	}
	return "success", 0
}

// openLog opens the log for what a relay says.
func openLog(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, keepLog), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600) // #nosec G304 -- the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("keep: %w", err)
	}
	return f, nil
}

// rotate puts the log aside once it has reached limit, in place of the one before. The
// relay goes on writing to the same file, at its new end: a line that it writes in the
// same moment may be lost, and the relay needs nobody to read what it says.
func rotate(dir string, limit int64) (err error) {
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	info, err := log.Stat()
	if err != nil || info.Size() < limit {
		return err
	}
	path := filepath.Join(dir, keepLog+".1")
	old, err := os.OpenFile(path+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // #nosec G304 -- as above
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	_, err = io.Copy(old, log)
	if err = errors.Join(err, old.Close()); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	return log.Truncate(0)
}
