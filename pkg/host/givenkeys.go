package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
)

// addedKey begins the name under which [Settled] notes a key that was added to a machine
// of somebody else's; the key itself follows.
const addedKey = "added ssh key "

// letIn adds the keys of the system that the box lacks. On a machine of somebody else's it
// notes first which these are: a key that was there before is none of ours to take away.
func (b box) letIn(ctx context.Context, r systemReadings) error {
	if missing := missingKeys(r.keys.body, b.cfg.System.keysOf(b.m)); b.m.Given && len(missing) > 0 {
		for _, line := range missing {
			r.settled[addedKey+keyOf(line)] = "yes"
		}
		if err := b.noteSettled(ctx, r.settled); err != nil {
			return err
		}
	}
	_, err := b.editKeys(ctx, func(has string) (string, error) { return addKeys(has, b.cfg.System.keysOf(b.m)), nil })
	return err
}

// TakeKeysBack takes the SSH keys that fleetctl added to a machine of somebody else's out
// again, and forgets them: whoever puts one in after that may keep it. One that was there
// before stays, and so does the last one that lets anybody in.
// On any other machine it does nothing.
func (h *Hosts) TakeKeysBack(ctx context.Context, m fleet.Machine) error {
	if !m.Given || m.Adopted || h.cfg.System == nil {
		return ctx.Err()
	}
	b, err := h.ours(m)
	if err != nil {
		return err
	}
	gone, err := b.takeKeysBack(ctx)
	return errors.Join(err, b.forgetKeys(ctx, gone))
}

// notes reads [Settled] for what it says of keys.
func (b box) notes(ctx context.Context) (map[string]string, error) {
	note, err := b.text(ctx, Settled, partLimit)
	if err == nil && note.warning != "" {
		err = fleet.WithHint(fmt.Errorf("which SSH keys were added: %s", note.warning),
			"Take the fleet's keys out of authorized_keys by hand, remove "+Settled+", and run the same command again.")
	}
	if err != nil {
		return nil, err
	}
	return parseSettled(note.body), nil
}

// forgetKeys removes the notes of keys that are gone. One that is not noted is left alone.
func (b box) forgetKeys(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	settled, err := b.notes(ctx)
	if err != nil {
		return err
	}
	noted := len(settled)
	for _, key := range keys {
		delete(settled, addedKey+key)
	}
	if len(settled) == noted {
		return nil
	}
	return b.noteSettled(ctx, settled)
}

// takeKeysBack lists the noted keys that are gone; the notes stay.
func (b box) takeKeysBack(ctx context.Context) (gone []string, err error) {
	if !b.m.Given {
		return nil, nil
	}
	settled, err := b.notes(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(settled)) {
		key, ours := strings.CutPrefix(name, addedKey)
		if !ours {
			continue
		}
		last, err := b.takeKeyBack(ctx, key)
		if err != nil {
			return gone, fmt.Errorf("take the fleet's SSH key back: %w", err)
		}
		if !last {
			gone = append(gone, key)
		}
	}
	return gone, nil
}

// takeKeyBack takes one key out unless it is the last. One that is not there is left alone.
func (b box) takeKeyBack(ctx context.Context, key string) (last bool, err error) {
	tried, err := b.editKeys(ctx, func(has string) (string, error) {
		rest, dropped, left := withoutKey(has, key)
		if last = dropped > 0 && left == 0; last {
			return has, nil
		}
		return rest, nil
	})
	switch {
	case tried:
		b.audit(ctx, "take the fleet's SSH key back", err)
	case last:
		b.audit(ctx, "leave the fleet's SSH key: "+ErrLastKey.Error(), nil)
	}
	return last, err
}
