package host

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// spare is what must stay free on a box beside a release, in bytes.
const spare = 64 << 20

// NoSpaceError is a box whose disk has no room for a release.
type NoSpaceError struct {
	Node       string
	Dir        string
	Need, Free int64 // bytes
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("%s: no space for the release: %s has %d MiB free, %d MiB are needed", e.Node, e.Dir, e.Free>>20, e.Need>>20)
}

// Hint says what to do about it.
func (e *NoSpaceError) Hint() string { return "Make room on the box, or give the node a larger one." }

// room checks that a release fits before it is sent.
func (b box) room(ctx context.Context, local, dir string) error {
	info, err := os.Stat(local)
	if err != nil {
		return fmt.Errorf("relay binary: %w", err)
	}
	out, err := b.exec(ctx, freeSpace(dir))
	if err != nil {
		return err
	}
	free, err := parseFree(out)
	if err != nil {
		return err
	}
	if need := info.Size() + spare; free < need {
		return &NoSpaceError{Node: b.m.Node, Dir: dir, Need: need, Free: free}
	}
	return nil
}

// parseFree reads the available bytes out of the answer of df -Pk.
func parseFree(answer string) (int64, error) {
	rows := strings.Split(strings.TrimSpace(answer), "\n")
	words := strings.Fields(rows[len(rows)-1])
	if len(rows) < 2 || len(words) < 6 {
		return 0, fmt.Errorf("df: the box says %q", clean(answer, 200))
	}
	blocks, err := strconv.ParseInt(words[3], 10, 64)
	if err != nil || blocks > 1<<50 {
		return 0, fmt.Errorf("df: the box says %q", clean(answer, 200))
	}
	return max(blocks, 0) << 10, nil // a full disk of a common user has less than none
}

// prepare makes what a unit needs before it can start: the user, and directories of its
// own. Files that are made in /etc/relay can be read by the relay's group. A state
// directory of others is theirs until their relay has ended. Each step may run again.
func (b box) prepare(ctx context.Context) error {
	if serviceOf(b.m) != fleet.ServiceSystemd {
		return b.all(ctx, makeDir(path.Dir(ConfigFile)), makeDir(stateOf(b.m)))
	}
	_, err := b.exec(ctx, readAccount(User))
	if refused(err) {
		err = b.all(ctx, addUser(StateDir))
	}
	if err != nil {
		return err
	}
	if err := b.all(ctx, makeOwned(path.Dir(ConfigFile), "root", User, "2750")); err != nil {
		return err
	}
	if _, theirs, err := b.othersState(ctx); err != nil || theirs {
		return err
	}
	return b.all(ctx, makeOwned(stateOf(b.m), User, User, "0700"))
}
