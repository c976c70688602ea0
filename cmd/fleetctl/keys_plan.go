package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
)

// keyState is how far a change has come on one box.
type keyState string

// The states of a change of keys.
const (
	keyPlanned keyState = "planned"
	keyDone    keyState = "done"
	keyFailed  keyState = "failed"
	keyNoNeed  keyState = "no need"    // it is as it shall be
	keyAlone   keyState = "left alone" // an adopted box
	keyUnread  keyState = "unreadable"
)

// keyChange adds one key to some boxes, or removes it.
type keyChange struct {
	key    publicKey
	remove bool
	boxes  []keyBoxChange
}

// keyBoxChange is the change on one box.
type keyBoxChange struct {
	m     fleet.Machine
	state keyState
	mine  string // another key of ours that stays, "" if none is known
	err   error
}

// planAdd lets a key into the boxes that do not have it.
func planAdd(boxes []keyBox, key publicKey) keyChange {
	c := keyChange{key: key}
	for _, b := range boxes {
		change := keyBoxChange{m: b.m, state: keyPlanned}
		switch {
		case b.err != nil:
			change.state, change.err = keyUnread, b.err
		case b.has(key.fingerprint):
			change.state = keyNoNeed
		case b.m.Adopted:
			change.state = keyAlone
		}
		c.boxes = append(c.boxes, change)
	}
	return c
}

// planRemove takes a key off the boxes that have it. It is refused as a whole where it
// would lock somebody out of one of them.
func planRemove(boxes []keyBox, key publicKey) (keyChange, error) {
	c := keyChange{key: key, remove: true}
	var errs []error
	for _, b := range boxes {
		change := keyBoxChange{m: b.m, state: keyPlanned}
		switch {
		case b.err != nil:
			change.state, change.err = keyUnread, b.err
		case !b.has(key.fingerprint):
			change.state = keyNoNeed
		case b.m.Adopted:
			change.state = keyAlone
		default:
			var err error
			if change.mine, err = staysOpen(b, key); err != nil {
				err = fmt.Errorf("keys remove: %s: %s: %w", b.m.Node, key.fingerprint, err)
				errs = append(errs, withCode(exitRefused, ofNode(b.m.Node, fleet.WithHint(err, "let another key in first: fleetctl keys add KEY"))))
			}
		}
		c.boxes = append(c.boxes, change)
	}
	return c, errors.Join(errs...)
}

// staysOpen returns a key of ours that stays on the box when another goes, "" if we are
// let in by one that no file tells of. It is an error if nobody, or not we, could log in
// any more.
func staysOpen(b keyBox, key publicKey) (mine string, err error) {
	left := 0
	for _, k := range b.keys {
		if k.fingerprint == key.fingerprint {
			continue
		}
		left++
		if b.ours[k.fingerprint] {
			mine = k.line
		}
	}
	switch {
	case left == 0:
		return "", host.ErrLastKey
	case b.ours[key.fingerprint] && mine == "":
		return "", host.ErrOwnKey
	}
	return mine, nil
}

// count is how many boxes are to be changed.
func (c *keyChange) count() int {
	n := 0
	for _, b := range c.boxes {
		if b.state == keyPlanned {
			n++
		}
	}
	return n
}

func (c *keyChange) verb() string {
	if c.remove {
		return "remove"
	}
	return "add"
}

// question is what is asked before anything is done.
func (c *keyChange) question() string {
	if c.remove {
		return fmt.Sprintf("Take this key off %s?", boxesCount(c.count()))
	}
	return fmt.Sprintf("Let this key into %s?", boxesCount(c.count()))
}

func boxesCount(n int) string {
	if n == 1 {
		return "1 box"
	}
	return fmt.Sprintf("%d boxes", n)
}

// tell shows what would be done, for somebody who is about to be asked.
func (c *keyChange) tell(a *app) {
	if a.globals.quiet && a.globals.yes {
		return
	}
	mark := map[bool]string{false: "+", true: "-"}[c.remove]
	words := strings.Join([]string{c.verb(), "key", c.key.fingerprint, c.key.kind, render.Safe(c.key.comment)}, " ")
	lines := []string{strings.TrimSpace(words)}
	for _, b := range c.boxes {
		switch b.state {
		case keyPlanned:
			lines = append(lines, "  "+mark+" "+b.m.Node)
		case keyAlone:
			lines = append(lines, "  = "+b.m.Node+"  adopted: left alone")
		case keyUnread:
			lines = append(lines, "  ! "+b.m.Node+"  cannot be read: left alone")
		}
	}
	for _, line := range lines {
		a.wrapped(line)
	}
}

// problem names the boxes on which the change failed: exit 3.
func (c *keyChange) problem() error {
	var errs []error
	for _, b := range c.boxes {
		if b.state == keyFailed {
			errs = append(errs, withCode(exitPartial, ofNode(b.m.Node, aboutNode(b.m.Node, b.err))))
		}
	}
	return errors.Join(errs...)
}

// keyChangeView is what `fleetctl keys add` and `keys remove` did or would do.
type keyChangeView struct {
	Action      string         `json:"action"` // "add" or "remove"
	Fingerprint string         `json:"fingerprint"`
	Type        string         `json:"type"`
	Comment     string         `json:"comment"`
	DryRun      bool           `json:"dry_run"`
	Boxes       []keyChangeRow `json:"boxes"`
}

// keyChangeRow is one box.
type keyChangeRow struct {
	Node  string   `json:"node"`
	State keyState `json:"state"`
	Error string   `json:"error"`
}

func (c *keyChange) view(dryRun bool) keyChangeView {
	v := keyChangeView{
		Action: c.verb(), Fingerprint: c.key.fingerprint, Type: c.key.kind, Comment: c.key.comment, DryRun: dryRun, Boxes: []keyChangeRow{},
	}
	for _, b := range c.boxes {
		row := keyChangeRow{Node: b.m.Node, State: b.state}
		if b.err != nil {
			row.Error = b.err.Error()
		}
		v.Boxes = append(v.Boxes, row)
	}
	return v
}

func (v keyChangeView) Table() render.Table {
	t := render.Table{
		Facts:   []render.Fact{{Name: v.Action, Value: v.Fingerprint}, {Name: "comment", Value: v.Comment}},
		Columns: []render.Column{{Name: "node"}, {Name: "state"}, {Name: "error", Show: render.CSVOnly}},
		Empty:   "no box is concerned",
	}
	for _, b := range v.Boxes {
		state := render.Toned{Value: string(b.State)}
		switch b.State {
		case keyDone:
			state.Tone = render.Good
		case keyFailed, keyUnread:
			state.Tone = render.Bad
		case keyPlanned, keyAlone:
			state.Tone = render.Warn
		}
		t.Rows = append(t.Rows, []any{b.Node, state, b.Error})
	}
	return t
}
