//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	ps "github.com/shirou/gopsutil/v4/process"

	"github.com/relayfleet/fleetctl/relay"
)

// Files of a keeper, in its directory.
const (
	keepFile = "keeper.json"
	keepLock = "keeper.lock"
	keepLog  = "relay.log"
)

// Bounds of what a keeper waits for.
const (
	keepGrace    = 45 * time.Second // between SIGTERM and SIGKILL: a relay drains
	keepStarting = 10 * time.Second // until a keeper that was started says so
	keepLook     = 20 * time.Millisecond
)

// kept is what a keeper writes down of itself and its relay.
type kept struct {
	Keeper   keptProcess `json:"keeper"`
	Relay    keptProcess `json:"relay"` // PID 0 while none runs
	Config   string      `json:"config"`
	Restarts int         `json:"restarts"`
	Result   string      `json:"result"`
	Status   int         `json:"status"`
	Stopped  bool        `json:"stopped"` // by keep stop
}

// keptProcess names a process for good: a number alone is given away again.
type keptProcess struct {
	PID     int   `json:"pid"`
	Started int64 `json:"started"` // milliseconds since 1970
}

// processOf is how a running process is known later.
func processOf(pid int) keptProcess {
	p, err := ps.NewProcess(int32(pid)) // #nosec G115 -- a PID of this system
	if err != nil {
		return keptProcess{PID: pid}
	}
	started, err := p.CreateTime()
	if err != nil {
		started = 0 // matches no process
	}
	return keptProcess{PID: pid, Started: started}
}

// startSlack is by how much two readings of one start may differ: systems count from their
// boot, whose time is adjusted.
const startSlack = 2000

// alive reports whether the process lives that was written down, and not another one with
// its number: it started then, and has the configuration among its arguments.
func (k keptProcess) alive(config string) bool {
	if k.PID <= 1 || k.Started == 0 {
		return false
	}
	p, err := ps.NewProcess(int32(k.PID)) // #nosec G115 -- as above
	if err != nil {
		return false
	}
	started, err := p.CreateTime()
	if err != nil || started-k.Started > startSlack || k.Started-started > startSlack {
		return false
	}
	if status, err := p.Status(); err == nil && slices.Contains(status, ps.Zombie) {
		return false
	}
	args, err := p.CmdlineSlice()
	return err == nil && slices.Contains(args, config)
}

// readKept reads what a keeper wrote; nothing is no error.
func readKept(dir string) (kept, bool, error) {
	var k kept
	text, err := os.ReadFile(filepath.Join(dir, keepFile)) // #nosec G304 -- the operator names the directory
	if errors.Is(err, fs.ErrNotExist) {
		return k, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return kept{}, false, fmt.Errorf("keep: %s: %w", keepFile, err)
	}
	return k, true, nil
}

// write replaces the file in one step.
func (k kept) write(dir string) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, keepFile)
	if err := os.WriteFile(path+".next", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	return nil
}

// keptStatus says how a kept relay is. It changes nothing.
func keptStatus(f keepFlags) (keepStatus, error) {
	k, there, err := readKept(f.dir)
	if err != nil || !there {
		return keepStatus{Active: "inactive", Result: "success"}, err
	}
	s := keepStatus{Active: "inactive", Restarts: k.Restarts, Result: k.Result, Status: k.Status}
	keeper, child := k.Keeper.alive(k.Config), k.Relay.alive(k.Config)
	if child {
		s.PID = k.Relay.PID
	}
	switch {
	case keeper && child:
		s.Active = "active"
	case keeper:
		s.Active = "activating"
	case !k.Stopped:
		s.Active = "failed" // its keeper was killed: nobody starts the relay again
	}
	return s, nil
}

// keepStart starts a keeper, unless one lives with this configuration, and returns when
// it has started its relay. A relay whose keeper was killed is ended first.
func keepStart(ctx context.Context, f keepFlags) error {
	if _, err := os.Stat(f.config); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	k, _, err := readKept(f.dir)
	if err != nil {
		return err
	}
	if k.Keeper.alive(k.Config) {
		if k.Config == f.config {
			return nil
		}
		return &relay.HintError{Err: fmt.Errorf("keep: process %d keeps a relay with %s here", k.Keeper.PID, k.Config), Hint: "run relay keep restart"}
	}
	if err := endProcess(ctx, k.Relay, k.Config, keepGrace); err != nil {
		return err
	}
	program, err := f.ownProgram()
	if err != nil {
		return err
	}
	log, err := openLog(f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()                                                                                      // the keeper has its own
	c := exec.Command(program, "keep", "watch", "--config", f.config, "--dir", f.dir, "--program", f.relayProgram(program)) //nolint:gosec,noctx // this program itself, which outlives this process
	c.Dir, c.Stdout, c.Stderr = "/", log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	return f.started(ctx, c.Process.Pid, ended)
}

// started waits until the keeper with this PID has started its relay once.
func (f keepFlags) started(ctx context.Context, pid int, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, keepStarting)
	defer cancel()
	tick := time.NewTicker(keepLook)
	defer tick.Stop()
	for {
		k, _, err := readKept(f.dir)
		if err == nil && k.Keeper.PID == pid && (k.Relay.PID != 0 || k.Restarts > 0) {
			return nil
		}
		select {
		case err := <-ended:
			if k, _, _ := readKept(f.dir); k.Keeper.PID != pid && k.Keeper.alive(k.Config) {
				return nil // somebody else was first
			}
			return &relay.HintError{Err: fmt.Errorf("keep: the keeper ended: %w", err), Hint: "see " + filepath.Join(f.dir, keepLog)}
		case <-ctx.Done():
			return fmt.Errorf("keep: the keeper does not say that it runs: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// ownProgram is this program as it was called: behind a link it is whatever is there at
// the next start.
func (f keepFlags) ownProgram() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("keep: %w", err)
	}
	return path, nil
}

func (f keepFlags) relayProgram(own string) string {
	if f.program != "" {
		return f.program
	}
	return own
}

// keepStop ends a keeper and its relay and returns when both are gone. Nothing to stop is
// no error.
func keepStop(ctx context.Context, f keepFlags) error {
	k, there, err := readKept(f.dir)
	if err != nil || !there {
		return err
	}
	// The keeper ends the relay within its grace, and then itself.
	if err := endProcess(ctx, k.Keeper, k.Config, keepGrace+keepStarting); err != nil {
		return err
	}
	if k, _, err = readKept(f.dir); err != nil {
		return err
	}
	if err := endProcess(ctx, k.Relay, k.Config, keepGrace); err != nil {
		return err
	}
	k.Keeper, k.Relay, k.Stopped = keptProcess{}, keptProcess{}, true
	return k.write(f.dir)
}

// endProcess sends SIGTERM, and SIGKILL after grace, to a process that was written down,
// and returns when it is gone. Another process with its number is left alone.
func endProcess(ctx context.Context, p keptProcess, config string, grace time.Duration) error {
	if !p.alive(config) {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("keep: end process %d: %w", p.PID, err)
	}
	kill := time.NewTimer(grace)
	defer kill.Stop()
	tick := time.NewTicker(keepLook)
	defer tick.Stop()
	for p.alive(config) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("keep: process %d still runs: %w", p.PID, context.Cause(ctx))
		case <-kill.C:
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("keep: end process %d: %w", p.PID, err)
			}
		case <-tick.C:
		}
	}
	return nil
}

// keepWatch is the keeper's process. Only one has the lock of a directory.
func keepWatch(ctx context.Context, f keepFlags) error {
	lock := flock.New(filepath.Join(f.dir, keepLock), flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	if !taken {
		return fmt.Errorf("keep: another keeper has %s: %w", f.dir, relay.ErrLocked)
	}
	defer func() { _ = lock.Close() }()
	program, err := f.ownProgram()
	if err != nil {
		return err
	}
	k := keeper{
		dir: f.dir, program: f.relayProgram(program), config: f.config,
		first: time.Second, last: time.Minute, grace: keepGrace, limit: 10 << 20, every: 10 * time.Second,
	}
	return k.run(ctx)
}
