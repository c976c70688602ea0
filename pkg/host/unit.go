package host

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// unit is the service as its manager sees it, in the words of systemd.
type unit struct {
	Name, By string // what it is called, and by whom it is started again; "" for systemd's
	Active   string // "active", "inactive", "failed", "activating", …
	Sub      string
	Result   string // "success", "exit-code", "signal", …
	Restarts int    // by systemd itself
	PID      int    // 0: no process
	Status   int    // of the last process that ended
}

// parseUnit reads the answer to [showUnit]. Properties that are missing stay zero,
// but the state must be there.
func parseUnit(text string) (unit, error) {
	var u unit
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		switch key {
		case "ActiveState":
			u.Active = clean(value, 40)
		case "SubState":
			u.Sub = clean(value, 40)
		case "Result":
			u.Result = clean(value, 40)
		case "NRestarts":
			u.Restarts = count(value)
		case "MainPID":
			u.PID = count(value)
		case "ExecMainStatus":
			u.Status = count(value)
		}
	}
	if u.Active == "" {
		return unit{}, fmt.Errorf("%s: the box does not say its state: %q", Unit, clean(text, 200))
	}
	return u, nil
}

// count is a number that systemd prints, 0 where it is none.
func count(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// runs reports whether there is a process that serves or is about to.
func (u unit) runs() bool {
	switch u.Active {
	case "active", "reloading":
		return true
	case "activating":
		return u.PID != 0
	}
	return false
}

// String is the state in one phrase for people.
func (u unit) String() string {
	s := cmp.Or(u.Name, Unit) + " is " + u.Active
	if u.Sub != "" && u.Sub != u.Active {
		s += " (" + u.Sub + ")"
	}
	if !u.runs() && u.Result != "" && u.Result != "success" {
		s += fmt.Sprintf(", result %s, exit status %d", u.Result, u.Status)
	}
	if u.Restarts > 0 {
		s += fmt.Sprintf(", restarted %d times by %s", u.Restarts, cmp.Or(u.By, "systemd"))
	}
	return s
}

// hex64 is a SHA-256 in lower-case hex.
var hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseLink reads the SHA-256 out of the target of [Current], "" if it is none.
func parseLink(text string) string {
	target := strings.TrimSpace(text)
	sha := target[strings.LastIndexByte(target, '/')+1:]
	if !hex64.MatchString(sha) {
		return ""
	}
	return sha
}
