package hosts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/host"
	"github.com/relayfleet/fleetctl/pkg/sshx"
)

// MarksFile is where a box's marks stand, below the relay's state directory.
const MarksFile = host.MarksName

// maxMarks bounds the file, in bytes.
const maxMarks = 16 << 10

// marks is what the file says.
type marks struct {
	Fleet   string `json:"fleet"`
	ID      string `json:"id,omitempty"` // of the fleet; "" says nothing
	Node    string `json:"node"`         // for people: the spec is what counts
	Adopted bool   `json:"adopted,omitempty"`
	Cached  string `json:"cached,omitempty"` // the mark of this name
}

// cachedUntil is the time of the mark, zero without one.
func (k marks) cachedUntil() time.Time {
	if k.Cached == "" {
		return time.Time{}
	}
	until, err := fleet.ParseCached(k.Cached)
	if err != nil {
		return fleet.UnreadCached()
	}
	return until
}

func stateDir(m fleet.Machine) string { return cmp.Or(m.State, fleet.StateDir) }
func file(m fleet.Machine) string     { return path.Join(stateDir(m), MarksFile) }

// glance reads a box's marks as [Provider.read] does, in two round trips where that is
// possible: what cat prints is taken if it is whole marks, and is no answer otherwise. A box
// may have no cat, or say more than it prints.
func (p *Provider) glance(ctx context.Context, m fleet.Machine) (marks, bool, error) {
	at, err := host.Target(m)
	if err != nil {
		return marks{}, false, err
	}
	res, err := p.cfg.Runner.Run(ctx, at, sshx.Command{Argv: []string{"cat", file(m)}, Timeout: p.cfg.Timeout, MaxOutput: maxMarks, ReadOnly: true})
	if err != nil {
		return marks{}, false, fmt.Errorf("read %s: %w", file(m), err)
	}
	if has, whole := parseMarks(res.Stdout); whole && res.ExitCode == 0 && !res.Truncated {
		return has, true, nil
	}
	return p.read(ctx, m)
}

// read reads a box's marks. A box without the file has none.
func (p *Provider) read(ctx context.Context, m fleet.Machine) (marks, bool, error) {
	at, err := host.Target(m)
	if err != nil {
		return marks{}, false, err
	}
	data, err := p.cfg.Runner.ReadFile(ctx, at, file(m), maxMarks)
	if errors.Is(err, fs.ErrNotExist) {
		return marks{}, false, nil
	}
	if err != nil {
		return marks{}, false, fmt.Errorf("read %s: %w", file(m), err)
	}
	has, whole := parseMarks(data)
	if !whole {
		err := fmt.Errorf("%s on %s does not say whose the box is", file(m), m.Node)
		return marks{}, false, fleet.WithHint(err, "look at the file, and remove it if the box is no other fleet's")
	}
	return has, true, nil
}

// parseMarks reads marks and reports whether they say whose the box is.
func parseMarks(data []byte) (marks, bool) {
	var has marks
	err := json.Unmarshal(data, &has)
	return has, err == nil && has.Fleet != ""
}

// ours is an ErrOtherFleet if the marks are those of another fleet, and an errUnproven if
// they have our fleet's name and not its ID.
func (p *Provider) ours(m fleet.Machine, has marks, there bool) error {
	switch {
	case !there:
		return nil
	case has.Fleet != p.cfg.Fleet:
		return other(m, fmt.Errorf("%s on it says that it belongs to fleet %.64q", file(m), has.Fleet))
	case has.ID != "" && p.cfg.ID == "":
		err := fmt.Errorf("%s on it has the ID %.64q, and fleet.yaml none: %w", file(m), has.ID, fleet.ErrOtherFleet)
		return fleet.WithHint(err, fmt.Sprintf("add id: %.64q to fleet.yaml if it is the one of that fleet, and take %s out of the hosts otherwise", has.ID, m.Node))
	case has.ID == "" && p.cfg.ID != "":
		return fmt.Errorf("%s on it names the fleet %s and %w", file(m), p.cfg.Fleet, errUnproven)
	case has.ID != p.cfg.ID:
		return other(m, fmt.Errorf("%s on it has the ID %.64q, and fleet.yaml %q: %w", file(m), has.ID, p.cfg.ID, fleet.ErrOtherFleet))
	}
	return nil
}

// claimable is ours, but for marks that lack our ID.
func (p *Provider) claimable(m fleet.Machine, has marks, there bool) error {
	if err := p.ours(m, has, there); !errors.Is(err, errUnproven) {
		return err
	}
	return nil
}

// errUnproven is of marks that may be another fleet's of our name.
var errUnproven = errors.New("not its id, so it may be another fleet's of this name; if it is of this one, `fleetctl adopt` writes the id into it")

func other(m fleet.Machine, err error) error {
	if !errors.Is(err, fleet.ErrOtherFleet) {
		err = &foreign{err}
	}
	return fleet.WithHint(err, "take "+m.Node+" out of the hosts, or give it back with `fleetctl release` of that fleet")
}

// foreign is the error of a host that another fleet holds.
type foreign struct{ error }

func (f *foreign) Is(target error) bool { return target == fleet.ErrOtherFleet }

// write replaces a box's marks.
func (p *Provider) write(ctx context.Context, m fleet.Machine, want marks) error {
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	data, err := p.encode(m, want)
	if err != nil {
		return err
	}
	return p.cfg.Runner.WriteFile(ctx, at, file(m), data, 0o600)
}

// encode is marks of ours as they are written.
func (p *Provider) encode(m fleet.Machine, want marks) ([]byte, error) {
	want.Fleet, want.ID, want.Node = p.cfg.Fleet, p.cfg.ID, m.Node
	data, err := json.MarshalIndent(want, "", "  ")
	return append(data, '\n'), err
}

// edit changes a box's marks, if may allows it. It writes nothing where nothing changes.
func (p *Provider) edit(ctx context.Context, machine string, may func(fleet.Machine, marks, bool) error, change func(*marks)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := p.reach(ctx, machine)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	has, there, err := p.read(ctx, m)
	if err == nil {
		err = may(m, has, there)
	}
	if err != nil {
		return err
	}
	want := has
	want.ID = p.cfg.ID
	change(&want)
	if there && want == has {
		return nil
	}
	return p.write(ctx, m, want)
}

// reach is a host with its addresses.
func (p *Provider) reach(ctx context.Context, machine string) (fleet.Machine, error) {
	h, err := p.find(machine)
	if err != nil {
		return fleet.Machine{}, err
	}
	m := p.machine(h)
	m.Addrs, err = p.addrs(ctx, h)
	return m, err
}

// Mark sets and unsets marks in the file on the box. A phase and a host key are accepted
// and not kept: see the package.
func (p *Provider) Mark(ctx context.Context, machine string, set map[string]string, unset []string) error {
	keys := slices.Concat(slices.Sorted(maps.Keys(set)), unset)
	kept := false
	for _, key := range keys {
		switch key {
		case fleet.MarkPhase, fleet.MarkHostKey:
		case fleet.MarkAdopted, fleet.MarkCached:
			kept = true
		default:
			return fmt.Errorf("mark host %s: unknown mark %q", machine, key)
		}
	}
	if until, ok := set[fleet.MarkCached]; ok {
		if _, err := fleet.ParseCached(until); err != nil {
			return wrap("mark host "+machine, err)
		}
	}
	if _, err := p.find(machine); err != nil || !kept {
		return wrap("mark host", errors.Join(err, ctx.Err()))
	}
	return wrap("mark host "+machine, p.edit(ctx, machine, p.ours, func(to *marks) {
		for _, key := range unset {
			to.set(key, "")
		}
		for key, value := range set {
			to.set(key, value)
		}
	}))
}

func (k *marks) set(key, value string) {
	switch key {
	case fleet.MarkAdopted:
		k.Adopted = value == "yes"
	case fleet.MarkCached:
		k.Cached = value
	}
}

// Adjust makes a host that nobody has marked the fleet's.
func (p *Provider) Adjust(ctx context.Context, machine string) error {
	m, err := p.reach(ctx, machine)
	if err == nil {
		err = p.makeState(ctx, m)
	}
	if err == nil {
		err = p.edit(ctx, machine, p.ours, func(*marks) {})
	}
	return wrap("mark host "+machine, err)
}

// makeState makes the state directory, for its owner alone, where there is none.
func (p *Provider) makeState(ctx context.Context, m fleet.Machine) error {
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	res, err := p.cfg.Runner.Run(ctx, at, sshx.Command{Argv: []string{"mkdir", "-p", "-m", "0700", stateDir(m)}, Timeout: p.cfg.Timeout, MaxOutput: 4 << 10})
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("make %s: %.200q", stateDir(m), strings.TrimSpace(string(res.Stderr)))
	}
	return err
}

// forget removes a box's marks, unless they are another fleet's.
func (p *Provider) forget(ctx context.Context, m fleet.Machine) error {
	has, there, err := p.read(ctx, m)
	if err == nil {
		err = p.ours(m, has, there)
	}
	if err != nil || !there {
		return err
	}
	at, err := host.Target(m)
	if err != nil {
		return err
	}
	return p.cfg.Runner.Remove(ctx, at, file(m))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
