package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// Config is what a provider works with.
type Config struct {
	// Dir is the directory of one fleet, absolute. It need not be there.
	Dir string
	// Fleet is the fleet's name.
	Fleet string
	// Supervise is the command that runs a [Supervisor] for Dir: [fleetctl supervise DIR].
	Supervise []string
	// StartTimeout bounds the wait for a supervisor that was started; zero means 20 s.
	StartTimeout time.Duration
	// KeepDir says whether the directory holds what Cleanup must not remove, and what
	// that is. Nil means that it does not.
	KeepDir func() (keep bool, what string)
	// Log gets what is waited for. Nil discards it.
	Log *slog.Logger
}

// Provider lists, makes and removes boxes. It is safe for concurrent use, and so are
// several of them over one directory.
type Provider struct{ cfg Config }

var _ fleet.Provider = (*Provider)(nil)

// New returns a provider. Nothing is read or started before it is used.
func New(cfg Config) (*Provider, error) {
	if !filepath.IsAbs(cfg.Dir) || len(cfg.Supervise) == 0 {
		return nil, errors.New("provider local: an absolute directory and a command are needed")
	}
	if err := checkName("fleet", cfg.Fleet); err != nil {
		return nil, fmt.Errorf("provider local: %w", err)
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 20 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Provider{cfg: cfg}, nil
}

// Machines lists the boxes. Where no supervisor lives they are read from disk, and are
// stopped; a PID is then that of a relay that has lost its supervisor.
func (p *Provider) Machines(ctx context.Context) ([]fleet.Machine, error) {
	ms, err := p.machines(ctx)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	return ms, nil
}

func (p *Provider) machines(ctx context.Context) ([]fleet.Machine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := []fleet.Machine{}
	at, alive, err := p.find(ctx)
	switch {
	case err != nil:
		return nil, err
	case alive:
		a, err := post(ctx, at.Socket, pathMachines, request{})
		if err != nil {
			return nil, err
		}
		all = append(all, a.Machines...)
	default:
		records, _, err := readRecords(p.cfg.Dir)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			r.PID = strayPID(boxDir(p.cfg.Dir, r.ID))
			all = append(all, r.Machine)
		}
	}
	// A box of another fleet in this directory is not ours to list.
	return slices.DeleteFunc(all, func(m fleet.Machine) bool { return m.Fleet != p.cfg.Fleet }), nil
}

// strayPID is the relay of a box without a supervisor, 0 if it does not live.
func strayPID(box string) int {
	var st boxsim.UnitState
	if err := boxsim.ReadJSON(filepath.Join(box, boxsim.UnitFile), &st); err != nil || !st.Proc.Alive() {
		return 0
	}
	if !boxsim.RunsWith(st.Proc.PID, daemonConfig(box)) {
		return 0
	}
	return st.Proc.PID
}

// Create makes a box and returns when its SSH answers.
func (p *Provider) Create(ctx context.Context, n fleet.NewMachine) (fleet.Machine, error) {
	a, err := p.ask(ctx, pathMachines, request{Order: &order{NewMachine: n, Fleet: p.cfg.Fleet}})
	if err == nil && len(a.Machines) != 1 {
		err = errors.New("the supervisor does not say what it made")
	}
	if err != nil {
		return fleet.Machine{}, fmt.Errorf("create machine %s: %w", n.Node, err)
	}
	return a.Machines[0], nil
}

// Start switches a box on.
func (p *Provider) Start(ctx context.Context, id string) error {
	if p.absent(id) {
		return fmt.Errorf("start machine %s: %w", id, fleet.ErrNoMachine)
	}
	return p.do(ctx, "start machine "+id, pathStart, request{ID: id})
}

// Delete ends a box's relay, stops serving it, and removes its directory.
func (p *Provider) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	if p.absent(id) {
		return nil
	}
	return p.do(ctx, "delete machine "+id, pathDelete, request{ID: id})
}

// Mark sets and unsets marks in the box's directory.
func (p *Provider) Mark(ctx context.Context, id string, set map[string]string, unset []string) error {
	if p.absent(id) {
		return fmt.Errorf("mark machine %s: %w", id, fleet.ErrNoMachine)
	}
	return p.do(ctx, "mark machine "+id, pathMark, request{ID: id, Set: set, Unset: unset})
}

// absent reports whether nothing of a box is on disk. No supervisor is started to say so.
func (p *Provider) absent(id string) bool {
	if checkName("machine", id) != nil {
		return true
	}
	_, err := os.Lstat(boxDir(p.cfg.Dir, id))
	return errors.Is(err, fs.ErrNotExist)
}

// EnsureKey lets the operator's key log in to the boxes of the fleet, those that are
// there too.
func (p *Provider) EnsureKey(ctx context.Context, authorizedKey string) error {
	return p.do(ctx, "ensure key", pathKey, request{Key: authorizedKey})
}

// EnsureFirewall does nothing: boxes listen on loopback only.
func (p *Provider) EnsureFirewall(ctx context.Context) error { return ctx.Err() }

// Adjust does nothing: a box is what its order said.
func (p *Provider) Adjust(ctx context.Context, _ string) error { return ctx.Err() }

// Drift is none: boxes share nothing that could differ.
func (p *Provider) Drift(ctx context.Context) ([]fleet.Drift, error) {
	return []fleet.Drift{}, ctx.Err()
}

// Quote names no currency: boxes cost nothing, and there may be any number of them.
func (p *Provider) Quote(ctx context.Context, buy []fleet.NewMachine) (fleet.Quote, error) {
	machines, err := p.Machines(ctx)
	if err != nil {
		return fleet.Quote{}, err
	}
	q := fleet.Quote{Now: []fleet.PriceLine{}, Buy: []fleet.PriceLine{}, Used: len(machines)}
	for _, m := range machines {
		q.Now = append(q.Now, fleet.PriceLine{Node: m.Node, ID: m.ID, What: "a process of this computer"})
	}
	for _, n := range buy {
		q.Buy = append(q.Buy, fleet.PriceLine{Node: n.Node, What: "a process of this computer"})
	}
	return q, nil
}

func (p *Provider) do(ctx context.Context, what, path string, r request) error {
	if _, err := p.ask(ctx, path, r); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// ask makes sure that a supervisor lives and asks it. Every request is idempotent, so
// one whose supervisor went away goes to the next.
func (p *Provider) ask(ctx context.Context, path string, r request) (answer, error) {
	if err := supported(); err != nil {
		return answer{}, err
	}
	for try := 1; ; try++ {
		at, err := p.ensure(ctx)
		if err != nil {
			return answer{}, err
		}
		a, err := post(ctx, at.Socket, path, r)
		var its *said
		final := err == nil || (errors.As(err, &its) && !errors.Is(err, errEnding))
		if final || ctx.Err() != nil || try == 3 {
			return a, err
		}
		p.cfg.Log.DebugContext(ctx, "supervisor went away", slog.Int("pid", at.Proc.PID), slog.Any("error", err))
		if err := p.ended(ctx, at, 5*time.Second); err != nil {
			return answer{}, err
		}
	}
}

// Leftovers names what is in the fleet's directory beside the boxes.
func (p *Provider) Leftovers(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	out := []string{}
	at, alive, err := supervised(p.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	if alive {
		out = append(out, fmt.Sprintf("supervisor, process %d", at.Proc.PID))
	}
	_, half, err := readRecords(p.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	for _, name := range half {
		out = append(out, "half a box, "+boxDir(p.cfg.Dir, name))
	}
	for _, name := range append(ownFiles(), boxesDir) {
		path := filepath.Join(p.cfg.Dir, name)
		if _, err := os.Lstat(path); err == nil {
			out = append(out, path)
		}
	}
	return out, nil
}

// lastLine is the end of what a supervisor wrote before it ended.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		if !strings.HasPrefix(line, "hint: ") {
			return boxsim.Printable(line)
		}
	}
	return boxsim.Printable(lines[len(lines)-1])
}
