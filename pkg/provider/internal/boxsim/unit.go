package boxsim

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// The states of the service, in systemd's words.
const (
	Inactive     = "inactive"
	Activating   = "activating" // a process is being started, its ID is not written yet; or it waits to be started again
	Active       = "active"
	Deactivating = "deactivating"
	Failed       = "failed"
)

// Program is what a service starts. Its arguments contain [Unit.Config].
type Program struct {
	Path string
	Args []string // without the name of the program
	Env  []string
	// Ready reports whether the process said that it has started; nil: it need not say so.
	Ready   func() bool
	Timeout time.Duration // for it to become ready
}

// Unit is relay.service of one box. Its fields are set before the first call of a
// method and left alone after; methods are safe for concurrent use.
type Unit struct {
	Box     string   // its name, for errors and logs
	Dir     string   // of the box
	Jail    *os.Root // "/" of the box
	Journal *Journal
	// Config is an argument that this box's relay has and no other process.
	Config string
	// Program says what to start, or why nothing can be started.
	Program func() (Program, error)
	// Bound kills the relay when this process ends (Linux); otherwise it goes on.
	Bound bool
	Grace time.Duration // from SIGTERM to SIGKILL
	Log   *slog.Logger

	op sync.Mutex // held through a start, a stop, a restart
	mu sync.Mutex // guards the rest

	st     UnitState
	policy Policy
	due    time.Time   // of the next start by the policy, zero if none is due
	starts []time.Time // that count for the policy's limit
	off    bool        // the box has no power
	late   string      // why the process was killed: "timeout", "watchdog"; "" if it was not
}

// Runnable is an error if the box has no relay that could be run.
func (u *Unit) Runnable() error {
	info, err := u.Jail.Stat(RelayPath)
	switch {
	case err != nil:
		return fmt.Errorf("box %s: /%s: %w", u.Box, RelayPath, Cause(err))
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("box %s: /%s: not a program", u.Box, RelayPath)
	}
	return nil
}

// ReadConfig reads the daemon's configuration on the box.
func (u *Unit) ReadConfig() ([]byte, error) {
	text, err := u.Jail.ReadFile(ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("box %s: /%s: %w", u.Box, ConfigPath, Cause(err))
	}
	return text, nil
}

// Start starts the service, and leaves one that runs alone.
func (u *Unit) Start() error {
	u.op.Lock()
	defer u.op.Unlock()
	return u.startLocked(0) // systemd counts anew after a start by hand
}

// startLocked makes the start that is the n-th by the policy; 0 is one by hand.
func (u *Unit) startLocked(n int) error {
	if u.Poll().Active == Active {
		return nil
	}
	if err := u.admit(time.Now()); err != nil {
		return err
	}
	p, found, err := u.holder()
	if err != nil {
		return err
	}
	if found {
		u.Adopt(p)
		return nil
	}
	program, err := u.Program()
	if err != nil {
		u.unstartable()
		return err
	}
	return u.spawn(program, n)
}

// spawn starts the process. What is written before it starts lets the next keeper of
// the box find it if this one ends in between.
func (u *Unit) spawn(p Program, n int) error {
	log, err := u.Journal.Open()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.Path, p.Args...) //nolint:gosec,noctx // the box's own release; it outlives us
	cmd.Dir = Root(u.Dir)
	cmd.Env = p.Env
	cmd.Stdout, cmd.Stderr = log, log
	u.set(func(st *UnitState) { st.Active, st.Proc, st.Restarts = Activating, Proc{}, n })
	if u.Bound {
		bind(cmd)
	}
	pid, err := Detach(cmd)
	if err != nil {
		u.set(func(st *UnitState) { st.Active, st.Result, st.Status = Failed, "exit-code", 203 })
		u.unstartable()
		u.Journal.Note("start: %v", err)
		return fmt.Errorf("box %s: start the relay: %w", u.Box, err)
	}
	id, err := Identify(pid)
	if err != nil {
		id = Proc{PID: pid} // it ended at once, and Poll will see that
	}
	u.set(func(st *UnitState) {
		st.Proc, st.Result, st.Status = id, "success", 0
		if p.Ready == nil {
			st.Active = Active
		}
	})
	u.Journal.Note("started, process %d", pid)
	if p.Ready == nil {
		return nil
	}
	return u.ready(p)
}

// ready waits until the process says that it has started.
func (u *Unit) ready(p Program) error {
	deadline := time.Now().Add(p.Timeout)
	for !p.Ready() {
		if u.Poll().Proc.PID == 0 {
			return fmt.Errorf("box %s: the process ended before it was ready", u.Box)
		}
		if !time.Now().Before(deadline) {
			return errors.Join(fmt.Errorf("box %s: the process is not ready after %s", u.Box, p.Timeout), u.expire("timeout"))
		}
		<-time.After(5 * time.Millisecond)
	}
	u.set(func(st *UnitState) {
		if st.Proc.PID != 0 {
			st.Active = Active
		}
	})
	return nil
}

// Stop ends the service and returns when its process is gone.
func (u *Unit) Stop() error { return u.End(u.Grace) }

// End stops the service with no more than this grace.
func (u *Unit) End(grace time.Duration) error {
	u.op.Lock()
	defer u.op.Unlock()
	return u.stopLocked(min(grace, u.Grace))
}

func (u *Unit) stopLocked(grace time.Duration) error {
	st := u.Poll()
	if u.calledOff() || st.Active != Active {
		return nil
	}
	u.set(func(st *UnitState) { st.Active = Deactivating })
	_ = terminate(st.Proc.PID) // one that has just ended is what we want
	if u.gone(grace) {
		return nil
	}
	u.Journal.Note("process %d did not stop within %s: killed", st.Proc.PID, grace)
	_ = kill(st.Proc.PID)
	if !u.gone(10 * time.Second) {
		return fmt.Errorf("box %s: process %d does not end", u.Box, st.Proc.PID)
	}
	u.set(func(st *UnitState) { st.Active, st.Result = Failed, "timeout" })
	return nil
}

// gone waits until the process has ended.
func (u *Unit) gone(most time.Duration) bool {
	deadline := time.Now().Add(most)
	for {
		if u.Poll().Proc.PID == 0 {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
}

// Restart stops and starts.
func (u *Unit) Restart() error {
	u.op.Lock()
	defer u.op.Unlock()
	if err := u.stopLocked(u.Grace); err != nil {
		return err
	}
	return u.startLocked(0)
}

// Enable sets whether the service starts with the box.
func (u *Unit) Enable(on bool) {
	u.set(func(st *UnitState) { st.Enabled = on })
}
