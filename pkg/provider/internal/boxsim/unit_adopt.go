package boxsim

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// Load reads what was left by the process that kept the box before, and adopts its relay.
func (u *Unit) Load() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := ReadJSON(filepath.Join(u.Dir, UnitFile), &u.st)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.Log.Warn("the state of the service is lost", slog.String("box", u.Box), slog.Any("error", err))
		u.st = UnitState{Enabled: true}
	}
	if u.st.Active == "" {
		u.st.Active = Inactive
	}
	cut := u.st.Active == Activating && u.st.Proc.PID == 0
	if u.st.Proc.Alive() && RunsWith(u.st.Proc.PID, u.Config) {
		u.st.Active = Active // also one that was being stopped: whoever wanted that will say so again
		return nil
	}
	p, found, err := u.holder()
	if err != nil {
		return err
	}
	if !found && cut {
		p, found = FindWith(u.Config)
	}
	switch {
	case found:
		u.st.Active, u.st.Proc = Active, p
	case u.st.Proc.PID != 0:
		u.ended(Exit{}, false)
	case cut:
		u.st.Active = Inactive
	}
	u.save()
	return nil
}

// Adopt takes a process for the service's, found by who keeps the box.
func (u *Unit) Adopt(p Proc) {
	u.set(func(st *UnitState) { st.Active, st.Proc = Active, p })
}

// holder finds this box's relay by the lock on its state directory.
func (u *Unit) holder() (Proc, bool, error) {
	f, err := u.Jail.Open(LockPath)
	if err != nil {
		return Proc{}, false, nil // none ever ran, or there is nothing that could be locked
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return Proc{}, false, nil
	}
	held, err := lockHeld(f)
	if err != nil || !held {
		return Proc{}, false, err
	}
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err == nil && RunsWith(pid, u.Config) {
		if p, err := Identify(pid); err == nil && p.Alive() {
			return p, true, nil
		}
	}
	if p, ok := FindWith(u.Config); ok {
		return p, true, nil
	}
	return Proc{}, false, fleet.WithHint(
		fmt.Errorf("box %s: a process that is not its relay holds %s", u.Box, filepath.Join(Root(u.Dir), LockPath)),
		"End the process that holds the file, then run the same command again.")
}
