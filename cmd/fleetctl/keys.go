package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/render"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

func newKeys(a *app) *cobra.Command {
	cmd := group("keys", "See and change who may log into the boxes",
		newKeysList(a),
		newKeysAdd(a),
		newKeysRemove(a),
	)
	cmd.Long = `See and change who may log into the boxes: the SSH keys in their authorized_keys. 'up' only
ever adds keys, so that two operators do not lock each other out; only 'keys remove' removes.`
	return cmd
}

// keyHolder is what knows the keys of boxes.
type keyHolder interface {
	Keys(ctx context.Context, m fleet.Machine) ([]string, error)
	AddKey(ctx context.Context, m fleet.Machine, key string) error
	RemoveKey(ctx context.Context, m fleet.Machine, key, mine string) error
}

var _ keyHolder = (*host.Hosts)(nil)

func newKeysList(a *app) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys that boxes let in, and where they differ",
		Long: `List the keys that boxes let in, and where they differ. A box that cannot be read is named;
exit 3.`,
		Args:              exactArgs(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := a.read("keys list")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			boxes, err := s.keyBoxes(cmd.Context(), sel)
			if err != nil {
				return err
			}
			return errors.Join(a.show(newKeysView(s.spec.Name, boxes)), unread(boxes))
		},
	}
	sel.register(a, cmd, false)
	return cmd
}

// publicKey is one key of a box.
type publicKey struct {
	line        string // type, base64 and comment
	kind        string // "ssh-ed25519"
	comment     string
	fingerprint string
}

// newPublicKey reads a line of authorized_keys, behind its options.
func newPublicKey(line string) (publicKey, error) {
	plain, err := sshx.PublicKey([]byte(line))
	if err != nil {
		return publicKey{}, err
	}
	print, err := sshx.Fingerprint(plain)
	if err != nil {
		return publicKey{}, err
	}
	kind, rest, _ := strings.Cut(plain, " ")
	_, comment, _ := strings.Cut(rest, " ")
	return publicKey{line: plain, kind: kind, comment: comment, fingerprint: print}, nil
}

// keyBox is a box and the keys that it lets in.
type keyBox struct {
	m    fleet.Machine
	keys []publicKey
	bad  int             // lines that look like a key and are none
	ours map[string]bool // fingerprints that this computer can log in with, as far as files tell
	err  error           // why the keys are not known
}

func (b keyBox) has(fingerprint string) bool {
	return slices.ContainsFunc(b.keys, func(k publicKey) bool { return k.fingerprint == fingerprint })
}

// keyBoxes reads the keys of the boxes that a selection means.
func (s *session) keyBoxes(ctx context.Context, sel selection) ([]keyBox, error) {
	if s.spec.Provider == fleet.ProviderLocal {
		return nil, errors.New("keys: a local box lets in the fleet's own key and no other: there is nothing to list or to change")
	}
	machines, err := s.selected(ctx, sel)
	if err != nil {
		return nil, err
	}
	done := s.app.busy(fmt.Sprintf("reading the keys of %d boxes", len(machines)))
	defer done()
	boxes := make([]keyBox, len(machines))
	var group errgroup.Group
	group.SetLimit(statsParallel)
	for i, m := range machines {
		group.Go(func() error {
			boxes[i] = readKeyBox(ctx, s.hosts, m)
			boxes[i].ours = s.ownKeys(m)
			return nil
		})
	}
	_ = group.Wait()
	return boxes, ctx.Err()
}

// readKeyBox reads the keys of one box.
func readKeyBox(ctx context.Context, hosts keyHolder, m fleet.Machine) keyBox {
	b := keyBox{m: m, err: withheld(m)}
	if b.err != nil {
		return b
	}
	lines, err := hosts.Keys(ctx, m)
	if err != nil {
		b.err = err
		return b
	}
	for _, line := range lines {
		key, err := newPublicKey(line)
		if err != nil {
			b.bad++
			continue
		}
		b.keys = append(b.keys, key)
	}
	return b
}

// ownKeys are the fingerprints of the keys on this computer that may let us into a box.
// What an agent holds is not known.
func (s *session) ownKeys(m fleet.Machine) map[string]bool {
	own := make(map[string]bool)
	for _, file := range append(slices.Clone(s.keyFiles), m.Key) {
		if file == "" {
			continue
		}
		line := ""
		if key, err := sshx.LoadKey(s.app.expand(file)); err == nil {
			line = key.PublicKey
		} else if text, err := readKeyFile(s.app.expand(file) + ".pub"); err == nil {
			line = string(text)
		}
		if key, err := newPublicKey(line); err == nil {
			own[key.fingerprint] = true
		}
	}
	return own
}

// unread names the boxes whose keys are not known: exit 3.
func unread(boxes []keyBox) error {
	var errs []error
	for _, b := range boxes {
		if b.err != nil {
			errs = append(errs, withCode(exitPartial, ofNode(b.m.Node, aboutNode(b.m.Node, b.err))))
		}
	}
	return errors.Join(errs...)
}

// keysView is what `fleetctl keys list` says.
type keysView struct {
	Fleet string       `json:"fleet"`
	Keys  []keyRow     `json:"keys"`
	Boxes []keyBoxView `json:"boxes"`
}

// keyRow is one key and where it is.
type keyRow struct {
	Fingerprint string   `json:"fingerprint"`
	Type        string   `json:"type"`
	Comment     string   `json:"comment"` // on the first box that has it
	Own         bool     `json:"own"`     // this computer can log in with it
	On          []string `json:"on"`
	Missing     []string `json:"missing"` // boxes that were read and do not have it
}

// keyBoxView is one box.
type keyBoxView struct {
	Node  string `json:"node"`
	Keys  *int   `json:"keys"`  // null: not known
	Bad   int    `json:"bad"`   // lines that look like a key and are none
	Error string `json:"error"` // why its keys are not known
}

func newKeysView(name string, boxes []keyBox) keysView {
	v := keysView{Fleet: name, Keys: []keyRow{}, Boxes: []keyBoxView{}}
	rows := make(map[string]*keyRow)
	for _, b := range boxes {
		if b.err != nil {
			v.Boxes = append(v.Boxes, keyBoxView{Node: b.m.Node, Error: b.err.Error()})
			continue
		}
		n := len(b.keys)
		v.Boxes = append(v.Boxes, keyBoxView{Node: b.m.Node, Keys: &n, Bad: b.bad})
		for _, k := range b.keys {
			row, known := rows[k.fingerprint]
			if !known {
				row = &keyRow{Fingerprint: k.fingerprint, Type: k.kind, Comment: k.comment, On: []string{}, Missing: []string{}}
				rows[k.fingerprint] = row
			}
			row.Own = row.Own || b.ours[k.fingerprint]
			if !slices.Contains(row.On, b.m.Node) {
				row.On = append(row.On, b.m.Node)
			}
		}
	}
	for _, row := range rows {
		for _, b := range boxes {
			if b.err == nil && !b.has(row.Fingerprint) {
				row.Missing = append(row.Missing, b.m.Node)
			}
		}
		v.Keys = append(v.Keys, *row)
	}
	slices.SortFunc(v.Keys, func(a, b keyRow) int {
		return cmp.Or(-cmp.Compare(len(a.On), len(b.On)), cmp.Compare(a.Comment, b.Comment), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return v
}

func (v keysView) Table() render.Table {
	t := render.Table{
		Columns: []render.Column{
			{Name: "fingerprint"}, {Name: "type", Drop: 2}, {Name: "comment"}, {Name: "own", Drop: 1}, {Name: "on"}, {Name: "missing on"},
		},
		Empty: "no box of fleet " + v.Fleet + " has a key that could be read",
	}
	for _, k := range v.Keys {
		on := render.Toned{Value: fmt.Sprintf("%d of %d", len(k.On), len(k.On)+len(k.Missing))}
		if len(k.Missing) > 0 {
			on.Tone = render.Warn
		}
		t.Rows = append(t.Rows, []any{k.Fingerprint, k.Type, k.Comment, k.Own, on, k.Missing})
	}
	for _, b := range v.Boxes {
		if b.Bad > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %d lines of authorized_keys look like a key and are none", b.Node, b.Bad))
		}
	}
	return t
}
