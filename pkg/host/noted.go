package host

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// Proof is what a file on a box has to say for the box to be shown to be the fleet's. The
// zero value asks for nothing.
type Proof struct {
	File string // absolute; "" for no proof
	Is   []byte // all of it; newlines at its end are not compared
}

// ErrUnproven means that the box does not hold what was to prove it the fleet's; nothing was run or
// written there.
var ErrUnproven = errors.New("the box is not shown to be the fleet's")

// The shell of a box looks at the proof, runs what follows and notes how it ended, all in
// one round trip: what is asked or noted by another command is waited for, and lost with
// the connection. $0 is the audit log, $1 a line of it that lacks its end, $2 and $3 are
// the proof, $4 is a word of this call: what a command says is not taken for the refusal to
// run it. The command has a shell of its own, which it may leave.
const (
	notedScript = `[ -z "$2" ] || [ "$(cat "$2" 2>/dev/null)" = "$3" ] || { echo "` + notProven + ` ($4)" >&2; exit 77; }
line=$1; shift 4; ("$@"); code=$?; result=ok; [ $code = 0 ] || result="exit status $code"; umask 077
{ printf '%s%s"}\n' "$line" "$result" | cat >>"$0"; } 2>/dev/null && { sync "$0" 2>/dev/null || :; } || echo "` + notNoted + `" >&2
exit $code`
	notNoted  = "fleetctl: not noted in the audit log"
	notProven = "fleetctl: not shown to be of the fleet: nothing was run"
	unproven  = 77 // exit code, EX_NOPERM of sysexits.h
)

// noted runs a command that its box notes in the audit log, if the box holds the proof.
// What the box could not note, or may not have, is added to the log from here.
func (b box) noted(ctx context.Context, did string, proof Proof, c sshx.Command) (sshx.Result, error) {
	if b.m.Adopted {
		return b.run.Run(ctx, b.at, c) // nothing is written to it; what the operator runs there is noted at home
	}
	line, err := b.auditLine(did, nil)
	if err != nil {
		return sshx.Result{}, err
	}
	argv, word := c.Argv, rand.Text()
	c.Argv = append([]string{
		"sh", "-c", notedScript, b.auditLog(), string(bytes.TrimSuffix(line, []byte("ok\"}\n"))),
		proof.File, string(bytes.TrimRight(proof.Is, "\n")), word,
	}, argv...)
	res, err := b.run.Run(ctx, b.at, c)
	if err != nil {
		b.failed(ctx, did, proof, err)
		return res, err
	}
	// sudo and shells may say something of their own before it.
	if proof.File != "" && res.ExitCode == unproven && len(res.Stdout) == 0 && bytes.HasSuffix(res.Stderr, []byte(refusal(word))) {
		return sshx.Result{}, ErrUnproven
	}
	said, lacking := bytes.CutSuffix(res.Stderr, []byte(notNoted+"\n"))
	if lacking || res.Truncated { // the box's word for it may have been dropped: rather twice than never
		res.Stderr = said
		b.audit(ctx, did, exited(res.ExitCode))
	}
	return res, nil
}

// failed notes a command that was tried and of which the end is not known. Nothing is
// written to a box that does not hold the proof; that of one that cannot be asked any more
// is logged.
func (b box) failed(ctx context.Context, did string, proof Proof, err error) {
	if sshx.Unasked(err) {
		return
	}
	if proof.File != "" {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), quick)
		defer cancel()
		has, unread := b.run.ReadFile(asking, b.at, proof.File, smallLimit)
		switch {
		case errors.Is(unread, fs.ErrNotExist), unread == nil && !proof.shown(has):
			return
		case unread != nil:
			b.unnoted(ctx, did, unread)
			return
		}
	}
	b.audit(ctx, did, err)
}

// refusal is what the shell says that was not shown the proof.
func refusal(word string) string { return notProven + " (" + word + ")\n" }

// shown reports whether what a file says is the proof.
func (p Proof) shown(has []byte) bool {
	return bytes.Equal(bytes.TrimRight(has, "\n"), bytes.TrimRight(p.Is, "\n"))
}

// exited is how a command ended, as the audit log has it.
func exited(code int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("exit status %d", code)
}

// Noted is a command that its box is to note, taken apart. It is for simulated boxes,
// which have no shell.
type Noted struct {
	Log, Line string // the audit log, and the line without the end that [Ended] gives it
	Proof     Proof
	Argv      []string // what is to be run

	word string
}

// ParseNoted takes a command apart, if it is one that the box is to note.
func ParseNoted(argv []string) (Noted, bool) {
	if len(argv) < 9 || argv[0] != "sh" || argv[1] != "-c" || argv[2] != notedScript {
		return Noted{}, false
	}
	return Noted{Log: argv[3], Line: argv[4], Proof: Proof{File: argv[5], Is: []byte(argv[6])}, word: argv[7], Argv: argv[8:]}, true
}

// Refused is what the shell says and how it ends where the file of the proof says has and
// that is not enough. ok is false where it is.
func (n Noted) Refused(has []byte) (stderr string, code int, ok bool) {
	if n.Proof.File == "" || n.Proof.shown(has) {
		return "", 0, false
	}
	return refusal(n.word), unproven, true
}

// Ended is the end of a line that is Noted, for an exit code.
func Ended(code int) string {
	result := "ok"
	if err := exited(code); err != nil {
		result = err.Error()
	}
	return result + "\"}\n"
}
