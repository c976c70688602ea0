package host

import (
	"bytes"
	"context"
	"fmt"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// The shell of a box runs what follows and notes how it ended, in one round trip: what is
// noted by a second command is waited for, and lost with the connection. $0 is the audit
// log and $1 a line of it that lacks its end. The command has a shell of its own, which it
// may leave.
const (
	notedScript = `line=$1; shift; ("$@"); code=$?; result=ok; [ $code = 0 ] || result="exit status $code"; umask 077
{ printf '%s%s"}\n' "$line" "$result" | cat >>"$0"; } 2>/dev/null && { sync "$0" 2>/dev/null || :; } || echo "` + notNoted + `" >&2
exit $code`
	notNoted = "fleetctl: not noted in the audit log"
)

// noted runs a command that its box notes in the audit log. What the box could not note, or
// may not have, is added to the log from here.
func (b box) noted(ctx context.Context, did string, c sshx.Command) (sshx.Result, error) {
	if b.m.Adopted {
		return b.run.Run(ctx, b.at, c) // nothing is written to it; what the operator runs there is noted at home
	}
	line, err := b.auditLine(did, nil)
	if err != nil {
		return sshx.Result{}, err
	}
	argv := c.Argv
	c.Argv = append([]string{"sh", "-c", notedScript, b.auditLog(), string(bytes.TrimSuffix(line, []byte("ok\"}\n")))}, argv...)
	res, err := b.run.Run(ctx, b.at, c)
	if err != nil {
		b.audit(ctx, did, err)
		return res, err
	}
	said, lacking := bytes.CutSuffix(res.Stderr, []byte(notNoted+"\n"))
	if lacking || res.Truncated { // the box's word for it may have been dropped: rather twice than never
		res.Stderr = said
		b.audit(ctx, did, exited(res.ExitCode))
	}
	return res, nil
}

// exited is how a command ended, as the audit log has it.
func exited(code int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("exit status %d", code)
}

// Noted takes a command apart that its box is to note: the log, the line without the end
// that Ended gives it, and what is to be run. It is for simulated boxes, which have no shell.
func Noted(argv []string) (log, line string, command []string, ok bool) {
	if len(argv) < 6 || argv[0] != "sh" || argv[1] != "-c" || argv[2] != notedScript {
		return "", "", nil, false
	}
	return argv[3], argv[4], argv[5:], true
}

// Ended is the end of a line that Noted found, for an exit code.
func Ended(code int) string {
	result := "ok"
	if err := exited(code); err != nil {
		result = err.Error()
	}
	return result + "\"}\n"
}
