package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Entry is one line of the audit log: a command that wrote something.
type Entry struct {
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	Host    string    `json:"host"`
	Command []string  `json:"command"` // the arguments, without secrets
	Plan    string    `json:"plan"`    // digest of the plan, "" if there was none
	Result  string    `json:"result"`  // "begun", "done", "failed", "interrupted"
	Error   string    `json:"error,omitempty"`
}

// Audit appends an entry to the audit log and syncs it. Entries of processes that
// append at once do not mix.
func (d *Dir) Audit(e Entry) error {
	if d.readOnly {
		return fmt.Errorf("audit: %s is open for reading only", d.path)
	}
	if e.Command == nil {
		e.Command = []string{}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	f, err := os.OpenFile(d.AuditLog(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return d.hint(fmt.Errorf("audit: %w", err))
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return d.hint(fmt.Errorf("audit: %w", err))
	}
	return nil
}
