package dotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exec is [Boxes] by a command of the operator's, which is run as
//
//	ARGV boot ID NAME USER_DATA_FILE KEYS_FILE
//	ARGV poweroff ID
//	ARGV poweron ID
//	ARGV destroy ID
//
// boot writes the addresses of the machine to stdout, separated by white space, and
// returns when it is on. The files hold the create's user data and the public keys that
// it named, one a line; they are private, and there until destroy. DOTEST_REGION,
// DOTEST_SIZE and DOTEST_IMAGE are in the environment of boot. A status other than 0 is a
// failure; the end of stderr is the reason. After a boot that failed, destroy is run. A
// command whose context ends is told to terminate, and killed two seconds later.
type Exec struct {
	Argv []string
	Dir  string // for the files; it must be there
}

var _ Boxes = Exec{}

// execSays bounds what is kept of a command's output.
const execSays = 4 << 10

// execEnds bounds the destroy after a boot that failed.
const execEnds = 30 * time.Second

// Boot runs "boot".
func (e Exec) Boot(ctx context.Context, m Machine) ([]netip.Addr, error) {
	userData, keys := e.file(m.ID, "user-data"), e.file(m.ID, "keys")
	err := errors.Join(
		os.WriteFile(userData, []byte(m.UserData), 0o600),
		os.WriteFile(keys, []byte(strings.Join(append(m.PublicKeys, ""), "\n")), 0o600))
	if err != nil {
		return nil, err
	}
	out, err := e.run(ctx, []string{"DOTEST_REGION=" + m.Region, "DOTEST_SIZE=" + m.Size, "DOTEST_IMAGE=" + m.Image},
		"boot", strconv.Itoa(m.ID), m.Name, userData, keys)
	if err == nil {
		var addrs []netip.Addr
		if addrs, err = addresses(out); err == nil {
			return addrs, nil
		}
		err = fmt.Errorf("boot %d: %w", m.ID, err)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), execEnds)
	defer cancel()
	return nil, errors.Join(err, e.Destroy(ending, m.ID))
}

// addresses reads what boot wrote to stdout.
func addresses(out string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, word := range strings.Fields(out) {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("stdout: %w", err)
		}
		addrs = append(addrs, a)
	}
	if len(addrs) == 0 {
		return nil, errors.New("no address on stdout")
	}
	return addrs, nil
}

// PowerOff runs "poweroff".
func (e Exec) PowerOff(ctx context.Context, id int) error {
	_, err := e.run(ctx, nil, "poweroff", strconv.Itoa(id))
	return err
}

// PowerOn runs "poweron".
func (e Exec) PowerOn(ctx context.Context, id int) error {
	_, err := e.run(ctx, nil, "poweron", strconv.Itoa(id))
	return err
}

// Destroy runs "destroy" and removes the files.
func (e Exec) Destroy(ctx context.Context, id int) error {
	if _, err := e.run(ctx, nil, "destroy", strconv.Itoa(id)); err != nil {
		return err
	}
	return e.forget(id)
}

func (e Exec) file(id int, what string) string {
	return filepath.Join(e.Dir, strconv.Itoa(id)+"."+what)
}

// forget removes the files of a machine; those that are gone are no error.
func (e Exec) forget(id int) error {
	var errs []error
	for _, what := range []string{"user-data", "keys"} {
		if err := os.Remove(e.file(id, what)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// run runs the command with more arguments, and returns what it wrote to stdout.
func (e Exec) run(ctx context.Context, env []string, args ...string) (string, error) {
	argv := append(append([]string{}, e.Argv...), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own command
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second // also for children that keep stdout open
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	if extra := t.Len() - execSays; extra > 0 {
		t.Next(extra)
	}
	return n, err
}
