package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// What Await waits for, in its order.
const (
	waitPort      = "tcp22"
	waitHostKey   = "host key match"
	waitLogin     = "login"
	waitCloudInit = "cloud-init"
)

const (
	// answerDeadline bounds the wait for SSH to answer with the right host key.
	answerDeadline = 5 * time.Minute
	// loginDeadline bounds the wait for the key to be let in: it comes with the first boot.
	loginDeadline = 2 * time.Minute
	// cloudInitTime bounds the first boot.
	cloudInitTime = 8 * time.Minute
)

// Await returns when the box takes commands. A bought machine is waited for from its
// first sign of life to the end of cloud-init; any other box must answer now.
func (h *Hosts) Await(ctx context.Context, m fleet.Machine, waiting func(what string)) error {
	b, err := h.box(m)
	if err != nil {
		return err
	}
	w := &wait{b: b, tell: waiting, began: time.Now()}
	if h.cfg.System == nil || m.Given {
		w.say("SSH")
		_, err = b.exec(ctx, uname())
		return err
	}
	if err := w.untilIn(ctx); err != nil {
		return err
	}
	w.say(waitCloudInit)
	return w.untilSetUp(ctx)
}

// wait is one Await under way.
type wait struct {
	b     box
	tell  func(string)
	what  string
	began time.Time // the wait for what
	said  time.Time
}

// say names what is waited for from now on.
func (w *wait) say(what string) {
	if what == w.what {
		return
	}
	w.what, w.began, w.said = what, time.Now(), time.Now()
	if w.tell != nil {
		w.tell(what)
	}
}

// untilIn waits until a command runs.
func (w *wait) untilIn(ctx context.Context) error {
	w.say(waitPort)
	for pause := 250 * time.Millisecond; ; pause = min(pause*3/2, 2*time.Second) {
		_, err := w.b.exec(ctx, uname())
		what, deadline := waitsFor(err)
		if err == nil || what == "" {
			return err
		}
		w.say(what)
		if time.Since(w.began) >= deadline {
			return w.gaveUp(err)
		}
		if time.Since(w.said) >= heartbeat {
			w.said = time.Now()
			w.b.log.InfoContext(ctx, "waiting for a box", slog.String("node", w.b.m.Node), slog.String("for", w.what),
				slog.Duration("elapsed", time.Since(w.began)), slog.Duration("deadline", deadline), slog.Any("last", err))
		}
		select {
		case <-ctx.Done():
			return errors.Join(w.gaveUp(err), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// waitsFor says what a failure is waited out as, and how long at most; "" is final.
// Another host key than the marked one is final at once, and so is none at all.
func waitsFor(err error) (what string, deadline time.Duration) {
	var lost *sshx.TransportError
	switch {
	case err == nil, errors.Is(err, sshx.ErrHostKeyMismatch), errors.Is(err, sshx.ErrNoPin), errors.Is(err, context.Canceled):
		return "", 0
	case errors.Is(err, sshx.ErrAuth), errors.Is(err, sshx.ErrSudo):
		return waitLogin, loginDeadline
	case errors.As(err, &lost) && lost.Op == "dial":
		return waitPort, answerDeadline
	case errors.Is(err, sshx.ErrTransport):
		return waitHostKey, answerDeadline
	}
	return "", 0
}

func (w *wait) gaveUp(last error) error {
	if w.what == waitLogin && errors.Is(last, sshx.ErrAuth) { // it boots with the keys of whoever ordered it
		last = fleet.WithHint(last, "if another operator made this machine, let them run 'fleetctl keys add' with your key, or name the keys of both in digitalocean.ssh_keys; else look at its console")
	}
	return fmt.Errorf("wait for %s: gave up after %s: %w", w.what, time.Since(w.began).Round(time.Second), last)
}

// untilSetUp waits for the end of cloud-init. Its connection may be lost meanwhile.
func (w *wait) untilSetUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cloudInitTime)
	defer cancel()
	for {
		res, err := w.b.run.Run(ctx, w.b.at, cloudInit())
		switch {
		case err == nil:
			return w.b.judgeCloudInit(ctx, res)
		case ctx.Err() != nil || !errors.Is(err, sshx.ErrTransport):
			return w.gaveUp(err)
		}
		if err := w.untilIn(ctx); err != nil {
			return err
		}
		w.say(waitCloudInit)
	}
}
