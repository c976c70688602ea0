package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/stats"
)

// work is what a box needs to become what it should be.
type work struct {
	Install bool     // send the release and switch to it
	Write   bool     // the configuration
	Unit    bool     // write the service's own file
	Settle  []string // parts of the system to put right in place
	Start   bool     // the service does not run
	Restart bool     // the service runs with something else than it should
}

func (w work) none() bool {
	return !w.Install && !w.Write && !w.Unit && !w.Start && !w.Restart && len(w.Settle) == 0
}

// String is the work in the audit log's words.
func (w work) String() string {
	var did []string
	for _, step := range []struct {
		do   bool
		word string
	}{{w.Install, "install"}, {w.Write, "write configuration"}, {w.Unit, "write unit"},
		{len(w.Settle) > 0, "settle " + strings.Join(w.Settle, " ")}, {w.Start, "start"}, {w.Restart, "restart"}} {
		if step.do {
			did = append(did, step.word)
		}
	}
	return strings.Join(did, ", ")
}

// errNoRelease: there is nothing to start on the box and nothing to install.
var errNoRelease = errors.New("the box has no relay binary, and there is none to install")

// decide compares what was found with what is wanted. Running is the SHA-256 of the
// process, "" if it does not say so: a daemon that does not answer is not restarted
// for that.
func decide(was readings, running, config string, r fleet.Release) (work, error) {
	wanted := r.SHA256
	if wanted == "" {
		wanted = was.current
	}
	if wanted == "" {
		return work{}, fleet.WithHint(errNoRelease, "Make the relay binary with make build.")
	}
	w := work{
		Install: was.current != wanted,
		Write:   !was.hasConfig || was.config != config,
		Start:   !was.unit.runs(),
	}
	if !w.Start {
		other := running != "" && running != wanted && r.SHA256 != ""
		w.Restart = w.Install || w.Write || other || was.mark.unfinished(was.unit, was.config)
	}
	return w, nil
}

// Configure makes the box what it should be and returns when its relay serves and is
// the binary that is wanted. On a box that is so already it writes nothing. A run that
// was cut off anywhere is finished by the next one.
func (h *Hosts) Configure(ctx context.Context, m fleet.Machine, config string, r fleet.Release) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	was, err := b.visit(ctx)
	if err != nil {
		return err
	}
	if err := b.othersService(was); err != nil {
		return err
	}
	w, err := decide(was, was.running(), config, r)
	if err != nil {
		return err
	}
	w = b.decideSystem(was, w)
	if w.none() {
		return b.gate(ctx, was.unit, r.SHA256)
	}
	err = b.work(ctx, was, w, config, r)
	b.audit(ctx, "configure: "+w.String(), err)
	return err
}

// running is the SHA-256 of the process, "" if there is none or it does not say so.
func (r readings) running() string {
	var v stats.Version
	if !r.unit.runs() || r.version.decode(pathVersion, &v) != nil || !hex64.MatchString(v.SHA256) {
		return ""
	}
	return v.SHA256
}

// work does w in the order in which it can be cut off anywhere: what a later step
// needs is there before it, and what is unfinished can be seen.
func (b box) work(ctx context.Context, was readings, w work, config string, r fleet.Release) error {
	if b.cfg.System != nil {
		if err := b.makeReady(ctx, was); err != nil {
			return err
		}
	}
	if w.Install {
		if err := b.send(ctx, r); err != nil {
			return err
		}
	}
	if w.Restart {
		if err := b.setMark(ctx, was); err != nil {
			return err
		}
	}
	if w.Install {
		if err := b.all(ctx, linkRelease(r.SHA256), managerOf(b.m).rename(Current+".next", Current)); err != nil {
			return err
		}
	}
	if w.Write {
		if err := b.writeMode(ctx, ConfigFile, []byte(config), b.configMode()); err != nil {
			return err
		}
	}
	if w.Unit {
		for _, p := range b.cfg.System.service(b.m) {
			if err := b.writeFile(ctx, p.Files[0].Path, []byte(p.Files[0].Text)); err != nil {
				return err
			}
		}
	}
	if err := b.bringUp(ctx, w); err != nil {
		return err
	}
	if err := b.gate(ctx, was.unit, r.SHA256); err != nil {
		return err
	}
	if w.Restart {
		if err := b.run.Remove(ctx, b.at, Changing); err != nil {
			return fmt.Errorf("remove %s: %w", Changing, err)
		}
	}
	if w.Install {
		if err := b.prune(ctx, r.SHA256, was.current); err != nil {
			b.log.WarnContext(ctx, "old releases were not removed", slog.String("node", b.m.Node), slog.Any("error", err))
		}
	}
	return nil
}

// bringUp starts or restarts the service.
func (b box) bringUp(ctx context.Context, w work) error {
	if w.Restart {
		now := time.Now().UTC().Format(time.RFC3339) + "\n"
		if err := b.writeFile(ctx, Restarted, []byte(now)); err != nil {
			return err
		}
	}
	if b.cfg.System != nil {
		if err := b.all(ctx, managerOf(b.m).reload()...); err != nil {
			return err
		}
		if err := b.takeOver(ctx, w); err != nil {
			return err
		}
		if err := b.undrain(ctx); err != nil {
			return err
		}
	}
	err := b.control(ctx, "enable")
	if err == nil && w.Restart {
		err = b.control(ctx, "restart")
	} else if err == nil {
		err = b.control(ctx, "start")
	}
	return b.withUnit(ctx, err)
}

// withUnit makes of a service command that was refused what the service says.
func (b box) withUnit(ctx context.Context, err error) error {
	var exit *exitError
	if !errors.As(err, &exit) {
		return err
	}
	end := &NotServing{Last: exit.Error(), Journal: b.tail(ctx)}
	if u, uerr := b.unit(ctx); uerr == nil {
		end.Unit = u.String()
	}
	return end
}

// gate passes when the relay serves and, where a binary is wanted, is that one.
func (b box) gate(ctx context.Context, start unit, sha256 string) error {
	if err := b.serve(ctx, start); err != nil {
		return err
	}
	if sha256 == "" {
		return nil
	}
	return b.assertRuns(ctx, sha256)
}
