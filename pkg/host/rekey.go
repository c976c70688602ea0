package host

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// HostKeys says which host keys boxes show; *sshx.Client is one.
type HostKeys interface {
	// HostKey is the key that the box showed on its connection, which is made if there is
	// none: authorized_keys form, no comment.
	HostKey(ctx context.Context, at sshx.Target) (string, error)
	// Drop ends the connection to a box; the next use makes a new one.
	Drop(at sshx.Target)
}

var _ HostKeys = (*sshx.Client)(nil)

// hostKeyDropInText makes sshd use the key that was made on the box and no other. It and
// the key have names of our own: nothing that cloud-init or a package does at a later
// boot touches them.
const hostKeyDropInText = written + "HostKey " + HostKeyFile + "\n"

// hostKeyReading is what one visit found of a box's host key.
type hostKeyReading struct {
	dropIn string
	shown  string
}

// rekeys reports whether host keys are looked after on m at all.
func (b box) rekeys() bool {
	return b.cfg.System != nil && b.cfg.Keys != nil && !b.m.Given && !b.m.Adopted
}

func (b box) readHostKey(ctx context.Context) (hostKeyReading, error) {
	if !b.rekeys() {
		return hostKeyReading{}, nil
	}
	dropIn, err := b.text(ctx, HostKeyDropIn, smallLimit)
	if err != nil {
		return hostKeyReading{}, err
	}
	shown, err := b.cfg.Keys.HostKey(ctx, b.at)
	if err != nil {
		return hostKeyReading{}, fmt.Errorf("read which host key is shown: %w", err)
	}
	return hostKeyReading{dropIn: dropIn.body, shown: shown}, nil
}

// bootstrap reports whether SSH does not yet show, or the provider not yet mark, the
// box's own key and it alone.
func (b box) bootstrap(r hostKeyReading) bool {
	return b.rekeys() && (r.dropIn != hostKeyDropInText || r.shown != b.m.HostKey)
}

// Rekey replaces the host key that came with the machine's order. Whatever step it is
// cut off after, the box can be logged into, and the next run goes on: the new key is
// trusted before it is shown, and the old one is forgotten when nothing shows it.
func (h *Hosts) Rekey(ctx context.Context, m fleet.Machine, trust func(ctx context.Context, keys string) error) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	was, err := b.readHostKey(ctx)
	if err != nil {
		return err
	}
	if !b.bootstrap(was) {
		return nil
	}
	key, err := b.rekey(ctx, was, trust)
	did := "replace the host key"
	if print, perr := sshx.Fingerprint(key); perr == nil {
		did += " by " + print
	}
	b.audit(ctx, did, err)
	if err != nil {
		return fmt.Errorf("replace the host key: %w", err)
	}
	return nil
}

func (b box) rekey(ctx context.Context, was hostKeyReading, trust func(ctx context.Context, keys string) error) (string, error) {
	key, err := b.ownHostKey(ctx)
	if err != nil {
		return "", err
	}
	if was.dropIn != hostKeyDropInText || was.shown != key {
		both := key
		if was.shown != key {
			both = was.shown + "\n" + key
		}
		if err := trust(ctx, both); err != nil {
			return key, err
		}
		if err := b.useHostKey(ctx, was.dropIn); err != nil {
			return key, err
		}
	}
	if err := b.untilShown(ctx, key); err != nil {
		return key, err
	}
	if err := b.dropHostKeys(ctx); err != nil {
		return key, err
	}
	return key, trust(ctx, key)
}

// ownHostKey is the public half of the key that was made on the box, which is made if it
// is not there, or cannot be read.
func (b box) ownHostKey(ctx context.Context) (string, error) {
	out, err := b.exec(ctx, publicHalf(HostKeyFile))
	if refused(err) {
		const next = HostKeyFile + ".fleetctl-next"
		for _, left := range []string{next, next + ".pub"} { // of a run that was cut off
			if err := b.run.Remove(ctx, b.at, left); err != nil {
				return "", fmt.Errorf("remove %s: %w", left, err)
			}
		}
		if err := b.all(ctx, makeHostKey(next), rename(next+".pub", HostKeyFile+".pub"), rename(next, HostKeyFile)); err != nil {
			return "", err
		}
		out, err = b.exec(ctx, publicHalf(HostKeyFile))
	}
	if err != nil {
		return "", err
	}
	key := plainKey(out)
	if _, err := sshx.EncodeHostKeyMark(key); err != nil {
		return "", fmt.Errorf("%s: %w", HostKeyFile, err)
	}
	return key, nil
}

// useHostKey makes sshd show the key to whoever connects from now on.
func (b box) useHostKey(ctx context.Context, before string) error {
	if err := b.writeFile(ctx, HostKeyDropIn, []byte(hostKeyDropInText)); err != nil {
		return err
	}
	err := b.all(ctx, checkSSHD())
	if refused(err) && before == "" { // a reboot must not find what sshd refuses
		err = errors.Join(err, b.run.Remove(ctx, b.at, HostKeyDropIn))
	}
	if err != nil {
		return err
	}
	return b.all(ctx, reloadSSHD())
}

// shownDeadline is how long sshd may take to show another key.
const shownDeadline = 30 * time.Second

// untilShown waits until a new connection shows the key.
func (b box) untilShown(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, shownDeadline)
	defer cancel()
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		b.cfg.Keys.Drop(b.at)
		shown, err := b.cfg.Keys.HostKey(ctx, b.at)
		switch {
		case err == nil && shown == key:
			return nil
		case err == nil:
			err = errors.New("it still shows the old one")
		case errors.Is(err, sshx.ErrHostKeyMismatch):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until SSH shows the new key: gave up after at most %s: %w", shownDeadline, err)
		case <-time.After(pause):
		}
	}
}

// injectedKey is a file of the keys that came with the order, or with the image.
var injectedKey = regexp.MustCompile(`^ssh_host_[a-z0-9]+_key(\.pub)?$`)

// dropHostKeys removes every other host key: the one that came with the order stands in
// the user data, too.
func (b box) dropHostKeys(ctx context.Context) error {
	out, err := b.exec(ctx, listHostKeys())
	if err != nil {
		return err
	}
	for name := range strings.Lines(out) {
		name = strings.TrimSuffix(name, "\n")
		if !injectedKey.MatchString(name) {
			continue
		}
		file := path.Join("/etc/ssh", name)
		if err := b.run.Remove(ctx, b.at, file); err != nil {
			return fmt.Errorf("remove %s: %w", file, err)
		}
	}
	return nil
}
