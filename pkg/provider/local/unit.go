package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
)

// The states of the service, in systemd's words.
const (
	inactive     = "inactive"
	activating   = "activating" // a process is being started; its ID is not written yet
	active       = "active"
	deactivating = "deactivating"
	failed       = "failed"
)

// unit is relay.service of one box. It is safe for concurrent use.
type unit struct {
	id      string // of the box, for errors
	dir     string // of the box
	jail    *os.Root
	ports   []usedPort // that the relay listens on
	journal *journal
	grace   time.Duration // from SIGTERM to SIGKILL
	log     *slog.Logger

	op sync.Mutex // held through a start, a stop, a restart
	mu sync.Mutex // guards st
	st unitState
}

// load reads what was left by the supervisor before, and adopts its relay.
func (u *unit) load() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := readJSON(filepath.Join(u.dir, unitFile), &u.st)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.log.Warn("the state of the service is lost", slog.String("box", u.id), slog.Any("error", err))
		u.st = unitState{Enabled: true}
	}
	if u.st.Active == "" {
		u.st.Active = inactive
	}
	cut := u.st.Active == activating && u.st.Proc.PID == 0
	if u.st.Proc.alive() && runsWith(u.st.Proc.PID, u.config()) {
		u.st.Active = active // also one that was being stopped: whoever wanted that will say so again
		return nil
	}
	p, found, err := u.holder()
	if err != nil {
		return err
	}
	if !found && cut {
		p, found = findWith(u.config())
	}
	switch {
	case found:
		u.st.Active, u.st.Proc = active, p
	case u.st.Proc.PID != 0:
		u.ended(exit{}, false)
	case cut:
		u.st.Active = inactive
	}
	u.save()
	return nil
}

// holder finds this box's relay by the lock on its state directory.
func (u *unit) holder() (proc, bool, error) {
	f, err := u.jail.Open(relayLock)
	if err != nil {
		return proc{}, false, nil // none ever ran, or there is nothing that could be locked
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return proc{}, false, nil
	}
	held, err := lockHeld(f)
	if err != nil || !held {
		return proc{}, false, err
	}
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err == nil && runsWith(pid, u.config()) {
		if p, err := identify(pid); err == nil && p.alive() {
			return p, true, nil
		}
	}
	if p, ok := findWith(u.config()); ok {
		return p, true, nil
	}
	return proc{}, false, fleet.WithHint(
		fmt.Errorf("box %s: a process that is not its relay holds %s", u.id, filepath.Join(u.dir, rootDir, relayLock)),
		"End the process that holds the file, then run the same command again.")
}

// config is the real path of the daemon's configuration: no other process has it
// among its arguments.
func (u *unit) config() string { return filepath.Join(u.dir, rootDir, configPath) }

// start starts the service, and leaves one that runs alone.
func (u *unit) start() error {
	u.op.Lock()
	defer u.op.Unlock()
	return u.startLocked()
}

func (u *unit) startLocked() error {
	if u.poll().Active == active {
		return nil
	}
	p, found, err := u.holder()
	if err != nil {
		return err
	}
	if found {
		u.set(func(st *unitState) { st.Active, st.Proc = active, p })
		return nil
	}
	info, err := u.jail.Stat(relayPath)
	switch {
	case err != nil:
		return fmt.Errorf("box %s: /%s: %w", u.id, relayPath, cause(err))
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("box %s: /%s: not a program", u.id, relayPath)
	}
	config, err := u.jail.ReadFile(configPath)
	if err != nil {
		return fmt.Errorf("box %s: /%s: %w", u.id, configPath, cause(err))
	}
	for _, p := range u.ports {
		// A port that the relay does not serve may be somebody else's by now.
		if !bytes.Contains(config, []byte(strconv.Itoa(p.port))) {
			continue
		}
		if err := p.free(); err != nil {
			return fmt.Errorf("box %s: %w", u.id, err)
		}
	}
	return u.spawn()
}

// spawn starts the process. What is written before it starts lets the next supervisor
// find it if this one ends in between.
func (u *unit) spawn() error {
	log, err := u.journal.open()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	root := filepath.Join(u.dir, rootDir)
	cmd := exec.Command(filepath.Join(root, relayPath), "run", "--config", u.config()) //nolint:gosec,noctx // the box's own release; it outlives us
	cmd.Dir = root
	cmd.Env = environment(root)
	cmd.Stdout, cmd.Stderr = log, log
	u.set(func(st *unitState) { st.Active, st.Proc = activating, proc{} })
	pid, err := detach(cmd)
	if err != nil {
		u.set(func(st *unitState) { st.Active, st.Result, st.Status = failed, "exit-code", 203 })
		u.journal.note("start: %v", err)
		return fmt.Errorf("box %s: start the relay: %w", u.id, err)
	}
	p, err := identify(pid)
	if err != nil {
		p = proc{PID: pid} // it ended at once, and poll will see that
	}
	u.set(func(st *unitState) { st.Active, st.Proc, st.Result, st.Status = active, p, "success", 0 })
	u.journal.note("started, process %d", pid)
	return nil
}

// environment of what runs on a box: nothing of the operator's, whose tokens may be in it.
func environment(root string) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + filepath.Join(root, statePath)}
}

// stop ends the service and returns when its process is gone.
func (u *unit) stop() error {
	u.op.Lock()
	defer u.op.Unlock()
	return u.stopLocked(u.grace)
}

func (u *unit) stopLocked(grace time.Duration) error {
	st := u.poll()
	if st.Active != active {
		return nil
	}
	u.set(func(st *unitState) { st.Active = deactivating })
	_ = terminate(st.Proc.PID) // one that has just ended is what we want
	if u.gone(grace) {
		return nil
	}
	u.journal.note("process %d did not stop within %s: killed", st.Proc.PID, grace)
	_ = kill(st.Proc.PID)
	if !u.gone(10 * time.Second) {
		return fmt.Errorf("box %s: process %d does not end", u.id, st.Proc.PID)
	}
	u.set(func(st *unitState) { st.Active, st.Result = failed, "timeout" })
	return nil
}

// gone waits until the process has ended.
func (u *unit) gone(most time.Duration) bool {
	deadline := time.Now().Add(most)
	for {
		if u.poll().Proc.PID == 0 {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
}

// restart stops and starts.
func (u *unit) restart() error {
	u.op.Lock()
	defer u.op.Unlock()
	if err := u.stopLocked(u.grace); err != nil {
		return err
	}
	return u.startLocked()
}

// end stops the service for good, for a box that goes.
func (u *unit) end(grace time.Duration) error {
	u.op.Lock()
	defer u.op.Unlock()
	return u.stopLocked(min(grace, u.grace))
}

// enable sets whether the service starts with the box.
func (u *unit) enable(on bool) {
	u.set(func(st *unitState) { st.Enabled = on })
}
