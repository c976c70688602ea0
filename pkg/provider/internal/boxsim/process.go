package boxsim

import (
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// Proc names one process for good: a number alone may be somebody else's tomorrow.
type Proc struct {
	PID     int   `json:"pid"`
	Started int64 `json:"started"` // Unix time in milliseconds
}

// Exit is how a process ended: by itself with a code, or by a signal.
type Exit struct {
	Code   int
	Signal int // 0: it ended by itself
}

// jitter is how far two readings of one start time may lie apart, in milliseconds: the
// system counts from a boot time that moves with the clock.
const jitter = 2000

// Identify reads the start time of a process.
func Identify(pid int) (Proc, error) {
	p, err := process.NewProcess(int32(pid)) // #nosec G115 -- a process ID
	if err != nil {
		return Proc{}, err
	}
	started, err := p.CreateTime()
	if err != nil {
		return Proc{}, err
	}
	return Proc{PID: pid, Started: started}, nil
}

// Alive reports whether this very process runs. One that ended and was not collected
// by its parent yet does not.
func (p Proc) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := Identify(p.PID)
	if err != nil || max(now.Started-p.Started, p.Started-now.Started) > jitter {
		return false
	}
	running, err := process.NewProcess(int32(p.PID)) // #nosec G115 -- a process ID
	if err != nil {
		return false
	}
	status, err := running.Status()
	return err != nil || !slices.Contains(status, process.Zombie)
}

// RunsWith reports whether a process was started with this argument.
func RunsWith(pid int, argument string) bool {
	p, err := process.NewProcess(int32(pid)) // #nosec G115 -- a process ID
	if err != nil {
		return false
	}
	argv, err := p.CmdlineSlice()
	return err == nil && slices.Contains(argv, argument)
}

// FindWith looks for a living process that was started with this argument.
func FindWith(argument string) (Proc, bool) {
	pids, err := process.Pids()
	if err != nil {
		return Proc{}, false
	}
	for _, pid := range pids {
		if !RunsWith(int(pid), argument) {
			continue
		}
		if p, err := Identify(int(pid)); err == nil && p.Alive() {
			return p, true
		}
	}
	return Proc{}, false
}
