package local

import (
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// proc names one process for good: a number alone may be somebody else's tomorrow.
type proc struct {
	PID     int   `json:"pid"`
	Started int64 `json:"started"` // Unix time in milliseconds
}

// exit is how a process ended: by itself with a code, or by a signal.
type exit struct {
	Code   int
	Signal int // 0: it ended by itself
}

// jitter is how far two readings of one start time may lie apart, in milliseconds: the
// system counts from a boot time that moves with the clock.
const jitter = 2000

// identify reads the start time of a process.
func identify(pid int) (proc, error) {
	p, err := process.NewProcess(int32(pid)) // #nosec G115 -- a process ID
	if err != nil {
		return proc{}, err
	}
	started, err := p.CreateTime()
	if err != nil {
		return proc{}, err
	}
	return proc{PID: pid, Started: started}, nil
}

// alive reports whether this very process runs. One that ended and was not collected
// by its parent yet does not.
func (p proc) alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := identify(p.PID)
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

// runsWith reports whether a process was started with this argument.
func runsWith(pid int, argument string) bool {
	p, err := process.NewProcess(int32(pid)) // #nosec G115 -- a process ID
	if err != nil {
		return false
	}
	argv, err := p.CmdlineSlice()
	return err == nil && slices.Contains(argv, argument)
}

// findWith looks for a living process that was started with this argument.
func findWith(argument string) (proc, bool) {
	pids, err := process.Pids()
	if err != nil {
		return proc{}, false
	}
	for _, pid := range pids {
		if !runsWith(int(pid), argument) {
			continue
		}
		if p, err := identify(int(pid)); err == nil && p.alive() {
			return p, true
		}
	}
	return proc{}, false
}
