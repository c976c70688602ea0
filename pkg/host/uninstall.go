package host

import (
	"context"
	"path"

	"github.com/relayfleet/fleetctl/fleet"
)

// Uninstall stops the relay and takes it off the box: service, releases, configuration.
// Its state directory stays, and so does what fences the box. From a machine of somebody
// else's the SSH keys that were added to it go, too, but never its last one. On a local
// box, which goes as a whole, it only stops.
func (h *Hosts) Uninstall(ctx context.Context, m fleet.Machine) error {
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	if h.cfg.System == nil {
		return h.Stop(ctx, m)
	}
	there, err := b.installed(ctx)
	if err != nil || !there {
		return err
	}
	err = b.uninstall(ctx)
	b.audit(ctx, "uninstall", err)
	return err
}

// installed reports whether anything of the relay is left to take away.
func (b box) installed(ctx context.Context) (bool, error) {
	u, err := b.unit(ctx)
	if err != nil || u.runs() {
		return true, err
	}
	current, err := b.current(ctx)
	if err != nil || current != "" {
		return true, err
	}
	files := []string{ConfigFile, Settled}
	for _, p := range b.cfg.System.service(b.m) {
		files = append(files, p.Files[0].Path)
	}
	for _, file := range files {
		if has, err := b.text(ctx, file, configLimit); err != nil || has.there {
			return true, err
		}
	}
	return false, nil
}

// uninstall takes away what fleetctl made, file by file, and the directories if that
// empties them. What shows that there was a relay goes last, after the keys: while any of it
// is there, a run that was cut off is seen to be unfinished.
func (b box) uninstall(ctx context.Context) error {
	if err := b.stop(ctx); err != nil {
		return err
	}
	if err := b.undrain(ctx); err != nil { // the next relay here shall not begin by draining
		return err
	}
	for _, p := range b.cfg.System.service(b.m) {
		if err := b.run.Remove(ctx, b.at, p.Files[0].Path); err != nil {
			return err
		}
		if err := b.all(ctx, managerOf(b.m).reload()...); err != nil {
			return err
		}
	}
	if err := b.all(ctx, removeTree(Releases)); err != nil {
		return err
	}
	if err := b.removeAll(ctx, Current+".next", Restarted, Changing); err != nil {
		return err
	}
	if _, err := b.takeKeysBack(ctx); err != nil {
		return err
	}
	if err := b.removeAll(ctx, Settled, ConfigFile, Current); err != nil {
		return err
	}
	for _, dir := range []string{path.Dir(ConfigFile), Base} {
		if err := b.all(ctx, removeEmpty(dir)); err != nil && !refused(err) { // others have files in it
			return err
		}
	}
	return nil
}

// removeAll removes files in this order; one that is not there is no error.
func (b box) removeAll(ctx context.Context, files ...string) error {
	for _, file := range files {
		if err := b.run.Remove(ctx, b.at, file); err != nil {
			return err
		}
	}
	return nil
}
