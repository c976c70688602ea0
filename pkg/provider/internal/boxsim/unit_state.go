package boxsim

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// UnitState is unit.json.
type UnitState struct {
	Enabled  bool   `json:"enabled"`
	Active   string `json:"active"`
	Proc     Proc   `json:"proc"`               // while there is a process
	Result   string `json:"result"`             // of the last process: "success", "exit-code", "signal", "timeout", "watchdog", "unknown"
	Status   int    `json:"status"`             // its exit status or signal
	Restarts int    `json:"restarts,omitempty"` // by the policy, since the last start by hand
}

// Poll looks after the process and returns the state of now.
func (u *Unit) Poll() UnitState {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.st.Proc.PID == 0 {
		return u.st
	}
	end, done, child := Reap(u.st.Proc.PID)
	if !done && (child || u.st.Proc.Alive()) {
		return u.st
	}
	u.ended(end, done)
	u.save()
	return u.st
}

// ended writes down how the process ended, and when the policy starts it again; u.mu is
// held. Of a process that is not our child nobody tells us.
func (u *Unit) ended(end Exit, known bool) {
	wanted := u.st.Active == Deactivating
	pid := u.st.Proc.PID
	u.st.Proc = Proc{}
	switch {
	case !known:
		u.st.Active, u.st.Result, u.st.Status = Failed, "unknown", 0
		if wanted {
			u.st.Active, u.st.Result = Inactive, "success"
		}
	case end.Signal != 0:
		u.st.Active, u.st.Result, u.st.Status = Failed, "signal", end.Signal
		if wanted && isTerm(end.Signal) {
			u.st.Active, u.st.Result = Inactive, "success"
		}
	case end.Code != 0:
		u.st.Active, u.st.Result, u.st.Status = Failed, "exit-code", end.Code
	default:
		u.st.Active, u.st.Result, u.st.Status = Inactive, "success", 0
	}
	if u.late != "" {
		u.st.Active, u.st.Result, u.late = Failed, u.late, ""
	}
	u.Journal.Note("process %d ended, result %s, status %d", pid, u.st.Result, u.st.Status)
	if !wanted && !u.off && u.policy.again(u.st.Result) {
		u.st.Active, u.due = Activating, time.Now().Add(u.policy.Delay)
	}
}

// set changes the state and writes it.
func (u *Unit) set(change func(*UnitState)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.st)
	u.save()
}

// save writes unit.json; u.mu is held. A disk that takes nothing must not keep a relay
// from being stopped: adoption has the lock to go by.
func (u *Unit) save() {
	if err := WriteJSON(filepath.Join(u.Dir, UnitFile), u.st); err != nil {
		u.Log.Warn("the state of the service was not written", slog.String("box", u.Box), slog.Any("error", err))
	}
}

// Show answers systemctl show.
func (u *Unit) Show() string {
	st := u.Poll()
	sub := map[string]string{Inactive: "dead", Activating: "start", Active: "running", Deactivating: "stop-sigterm", Failed: "failed"}[st.Active]
	if st.Active == Activating && st.Proc.PID == 0 && u.waits() {
		sub = "auto-restart"
	}
	result := st.Result
	if result == "" {
		result = "success"
	}
	return fmt.Sprintf("ActiveState=%s\nSubState=%s\nResult=%s\nNRestarts=%d\nMainPID=%d\nExecMainStatus=%d\n",
		st.Active, sub, result, st.Restarts, st.Proc.PID, st.Status)
}
