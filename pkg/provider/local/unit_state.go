package local

import (
	"fmt"
	"log/slog"
	"path/filepath"
)

// unitState is unit.json.
type unitState struct {
	Enabled bool   `json:"enabled"`
	Active  string `json:"active"`
	Proc    proc   `json:"proc"`   // while there is a process
	Result  string `json:"result"` // of the last process: "success", "exit-code", "signal", "timeout", "unknown"
	Status  int    `json:"status"` // its exit status or signal
}

// poll looks after the process and returns the state of now.
func (u *unit) poll() unitState {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.st.Proc.PID == 0 {
		return u.st
	}
	end, done, child := reap(u.st.Proc.PID)
	if !done && (child || u.st.Proc.alive()) {
		return u.st
	}
	u.ended(end, done)
	u.save()
	return u.st
}

// ended writes down how the process ended; u.mu is held. Of a process that is not our
// child nobody tells us.
func (u *unit) ended(end exit, known bool) {
	wanted := u.st.Active == deactivating
	pid := u.st.Proc.PID
	u.st.Proc = proc{}
	switch {
	case !known:
		u.st.Active, u.st.Result, u.st.Status = failed, "unknown", 0
		if wanted {
			u.st.Active, u.st.Result = inactive, "success"
		}
	case end.Signal != 0:
		u.st.Active, u.st.Result, u.st.Status = failed, "signal", end.Signal
		if wanted && isTerm(end.Signal) {
			u.st.Active, u.st.Result = inactive, "success"
		}
	case end.Code != 0:
		u.st.Active, u.st.Result, u.st.Status = failed, "exit-code", end.Code
	default:
		u.st.Active, u.st.Result, u.st.Status = inactive, "success", 0
	}
	u.journal.note("process %d ended, result %s, status %d", pid, u.st.Result, u.st.Status)
}

// set changes the state and writes it.
func (u *unit) set(change func(*unitState)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.st)
	u.save()
}

// save writes unit.json; u.mu is held. A disk that takes nothing must not keep a relay
// from being stopped: adoption has the lock to go by.
func (u *unit) save() {
	if err := writeJSON(filepath.Join(u.dir, unitFile), u.st); err != nil {
		u.log.Warn("the state of the service was not written", slog.String("box", u.id), slog.Any("error", err))
	}
}

// show answers systemctl show.
func (u *unit) show() string {
	st := u.poll()
	sub := map[string]string{inactive: "dead", activating: "start", active: "running", deactivating: "stop-sigterm", failed: "failed"}[st.Active]
	result := st.Result
	if result == "" {
		result = "success"
	}
	return fmt.Sprintf("ActiveState=%s\nSubState=%s\nResult=%s\nNRestarts=0\nMainPID=%d\nExecMainStatus=%d\n",
		st.Active, sub, result, st.Proc.PID, st.Status)
}
