package boxsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Policy says what happens to a service that ended by itself. The zero policy leaves it
// as it is.
type Policy struct {
	Restart  string        // "", "no", "always", "on-failure", "on-success", "on-abnormal", "on-abort"
	Delay    time.Duration // before it is started again
	Burst    int           // starts, by hand too, that Interval allows; 0: any number
	Interval time.Duration
}

// again reports whether a service with this result is started again.
func (p Policy) again(result string) bool {
	switch p.Restart {
	case "always":
		return true
	case "on-success":
		return result == "success"
	case "on-failure":
		return result != "success"
	case "on-abnormal":
		return result == "signal" || result == "timeout" || result == "watchdog"
	case "on-abort":
		return result == "signal"
	}
	return false
}

// SetPolicy changes what happens to a service that ends from now on.
func (u *Unit) SetPolicy(p Policy) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.policy = p
}

// errOff is the answer of a box without power.
var errOff = errors.New("the box is switched off")

// errTooOften is systemd's answer to a start beyond the limit.
var errTooOften = errors.New("start request repeated too quickly")

// admit counts a start that is about to be made, and refuses one beyond the limit.
func (u *Unit) admit(now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.due = time.Time{}
	if u.off {
		return fmt.Errorf("box %s: %w", u.Box, errOff)
	}
	p := u.policy
	if p.Burst <= 0 || p.Interval <= 0 {
		return nil
	}
	u.starts = slices.DeleteFunc(u.starts, func(t time.Time) bool { return now.Sub(t) >= p.Interval })
	if len(u.starts) >= p.Burst {
		u.st.Active, u.st.Result = Failed, "start-limit-hit"
		u.save()
		u.Journal.Note("%v", errTooOften)
		return fmt.Errorf("box %s: %w", u.Box, errTooOften)
	}
	u.starts = append(u.starts, now)
	return nil
}

// waits reports whether a start by the policy is due.
func (u *Unit) waits() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.due.IsZero()
}

// calledOff forgets a start by the policy that is due, and reports whether one was.
func (u *Unit) calledOff() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.due.IsZero() {
		return false
	}
	u.due, u.st.Active = time.Time{}, Inactive
	u.save()
	return true
}

// Tend looks after the process and makes the start that the policy wants, if it is due.
// Whoever keeps the box calls it again and again.
func (u *Unit) Tend() {
	u.Poll()
	if !u.isDue(time.Now()) || !u.op.TryLock() {
		return // somebody is starting or stopping it
	}
	defer u.op.Unlock()
	if !u.isDue(time.Now()) {
		return
	}
	if err := u.startLocked(u.Poll().Restarts + 1); err != nil {
		u.Journal.Note("start: %v", err)
		u.set(func(st *UnitState) {
			if st.Active == Activating && u.due.IsZero() {
				st.Active = Failed
			}
		})
	}
}

// unstartable is what the policy makes of a start without a process.
func (u *Unit) unstartable() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.policy.again("exit-code") {
		u.st.Active, u.st.Result, u.st.Status = Activating, "exit-code", 203
		u.due = time.Now().Add(u.policy.Delay)
		u.save()
	}
}

func (u *Unit) isDue(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.due.IsZero() && !now.Before(u.due)
}

// Bark ends a process that the watchdog has not heard of for too long.
func (u *Unit) Bark() error { return u.expire("watchdog") }

// expire kills the process because it is too late with something.
func (u *Unit) expire(result string) error {
	u.mu.Lock()
	pid := u.st.Proc.PID
	if pid != 0 {
		u.late = result
	}
	u.mu.Unlock()
	if pid == 0 {
		return nil
	}
	u.Journal.Note("process %d is too late (%s): killed", pid, result)
	_ = kill(pid)
	if !u.gone(10 * time.Second) {
		return fmt.Errorf("box %s: process %d does not end", u.Box, pid)
	}
	return nil
}

// Cut takes the power away: the process is gone at once, and nothing starts until [Unit.Power].
func (u *Unit) Cut() error {
	u.mu.Lock()
	u.off, u.due = true, time.Time{}
	pid := u.st.Proc.PID
	u.mu.Unlock()
	if pid != 0 {
		_ = kill(pid) // a stop that waits for it ends now
	}
	u.op.Lock()
	defer u.op.Unlock()
	if pid = u.Poll().Proc.PID; pid != 0 { // one that was just being started
		_ = kill(pid)
	}
	if !u.gone(10 * time.Second) {
		return fmt.Errorf("box %s: process %d does not end", u.Box, pid)
	}
	u.set(func(st *UnitState) { *st = UnitState{Enabled: st.Enabled, Active: Inactive} })
	return nil
}

// Power gives the power back. Nothing starts by that.
func (u *Unit) Power() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.off, u.starts = false, nil
}

// Boot starts the service if it is enabled, as a machine does that was switched on. One
// that cannot be started is in the journal, as there.
func (u *Unit) Boot() {
	if !u.Poll().Enabled {
		return
	}
	if err := u.Start(); err != nil {
		u.Journal.Note("start: %v", err)
	}
}
