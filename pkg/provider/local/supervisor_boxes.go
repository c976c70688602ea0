package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/relayfleet/fleetctl/fleet"
	"github.com/relayfleet/fleetctl/pkg/provider/internal/boxsim"
)

// order is a NewMachine with the name of the fleet that it is for.
type order struct {
	fleet.NewMachine
	Fleet string
}

// machines lists what is on disk, with what is known of it here.
func (s *Supervisor) machines() ([]fleet.Machine, error) {
	records, _, err := readRecords(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	out := make([]fleet.Machine, 0, len(records))
	for _, r := range records {
		s.mu.Lock()
		b, ok := s.boxes[r.ID]
		s.mu.Unlock()
		if ok {
			out = append(out, b.machine())
			continue
		}
		out = append(out, r.Machine)
	}
	return out, nil
}

// createBox makes a box, or returns the one that the operation made before, and
// switches it on.
func (s *Supervisor) createBox(ctx context.Context, n order) (fleet.Machine, error) {
	for what, word := range map[string]string{"node": n.Node, "operation": n.Op, "fleet": n.Fleet} {
		if err := checkName(what, word); err != nil {
			return fleet.Machine{}, err
		}
	}
	id, err := s.place(ctx, n)
	if err != nil {
		return fleet.Machine{}, err
	}
	b, err := s.open(id)
	if err != nil {
		return fleet.Machine{}, err
	}
	if err := b.powerOn(ctx); err != nil {
		return fleet.Machine{}, err
	}
	return b.machine(), nil
}

// place finds the box of an operation, or makes its directory, and returns its ID.
func (s *Supervisor) place(ctx context.Context, n order) (string, error) {
	s.create.Lock()
	defer s.create.Unlock()
	records, _, err := readRecords(s.cfg.Dir)
	if err != nil {
		return "", err
	}
	taken := make(map[int]bool)
	for _, r := range records {
		if r.Op == n.Op && r.Fleet == n.Fleet {
			return r.ID, nil
		}
		for _, p := range []fleet.Ports{r.Ports, r.Bind} {
			for _, port := range []int{p.SSH, p.TCP, p.QUIC, p.WS, p.API} {
				taken[port] = true
			}
		}
	}
	id := n.Node + "-" + strings.ToLower(n.Op)
	count := 5
	if n.Delay > 0 {
		count = 9
	}
	runtime, err := runtimeDir()
	if err != nil {
		return "", err
	}
	return id, withPorts(ctx, runtime, boxDir(s.cfg.Dir, id), count, taken, func(ports []int) error {
		return s.build(id, n, ports)
	})
}

// build makes the directory of a box under another name and renames it: it is there
// whole, or not at all.
func (s *Supervisor) build(id string, n order, ports []int) (err error) {
	temporary := filepath.Join(s.cfg.Dir, boxesDir, newPrefix+id)
	if err := os.RemoveAll(temporary); err != nil {
		return boxsim.Explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(boxsim.Explain(err), os.RemoveAll(temporary))
		}
	}()
	if err := os.MkdirAll(boxsim.Root(temporary), 0o700); err != nil {
		return err
	}
	public, err := newHostKey(filepath.Join(temporary, hostKeyFile))
	if err != nil {
		return err
	}
	r := record{Delay: n.Delay, Machine: fleet.Machine{
		ID: id, Name: n.Fleet + "/" + n.Node, Fleet: n.Fleet, Node: n.Node, Region: n.Region, Op: n.Op,
		HostKey: public, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})},
		Ports: fleet.Ports{SSH: ports[0], TCP: ports[1], QUIC: ports[2], WS: ports[3], API: ports[4]},
		User:  boxUser, Created: time.Now().UTC().Truncate(time.Second),
	}}
	if len(ports) > 5 {
		r.Bind = fleet.Ports{SSH: ports[5], TCP: ports[6], QUIC: ports[7], WS: ports[8], API: ports[4]}
	}
	if err := writeRecord(temporary, r); err != nil {
		return err
	}
	if err := os.Rename(temporary, boxDir(s.cfg.Dir, id)); err != nil {
		return err
	}
	return boxsim.SyncDir(filepath.Join(s.cfg.Dir, boxesDir))
}

// startBox switches a box on.
func (s *Supervisor) startBox(ctx context.Context, id string) error {
	b, err := s.open(id)
	if err != nil {
		return err
	}
	return b.powerOn(ctx)
}

// deleteGrace is how long the relay of a box that goes may take to stop.
const deleteGrace = 10 * time.Second

// deleteBox ends everything of a box and removes its directory, half deleted or not.
func (s *Supervisor) deleteBox(ctx context.Context, id string) error {
	if err := checkName("machine", id); err != nil {
		return nil //nolint:nilerr // there is no such machine, and absent is success
	}
	dir := boxDir(s.cfg.Dir, id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	b, err := s.open(id)
	switch {
	case errors.Is(err, fleet.ErrNoMachine): // half deleted by hand
		if err := s.endStray(dir); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := errors.Join(b.powerOff(ctx), b.unit.End(deleteGrace)); err != nil {
			return err
		}
		s.mu.Lock()
		delete(s.boxes, id)
		s.mu.Unlock()
		_ = b.jail.Close()
	}
	// Renamed first: what is only half removed must not look like a box.
	gone := filepath.Join(s.cfg.Dir, boxesDir, gonePrefix+id)
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(gone)
}

// endStray ends the relay of a directory that is no box any more.
func (s *Supervisor) endStray(dir string) error {
	p, found := boxsim.FindWith(daemonConfig(dir))
	if !found {
		return nil
	}
	u := &boxsim.Unit{Box: filepath.Base(dir), Dir: dir, Journal: boxsim.NewJournal(dir), Log: s.log, Grace: deleteGrace}
	u.Adopt(p)
	return u.Stop()
}

// markBox sets and unsets marks.
func (s *Supervisor) markBox(id string, set map[string]string, unset []string) error {
	b, err := s.open(id)
	if err != nil {
		return err
	}
	return b.mark(set, unset)
}

// ensureKey lets a key log in.
func (s *Supervisor) ensureKey(text string) error {
	s.create.Lock()
	defer s.create.Unlock()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	known, err := s.keys()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(known, func(k ssh.PublicKey) bool { return string(k.Marshal()) == string(key.Marshal()) }) {
		return nil
	}
	var file []byte
	for _, k := range append(known, key) {
		file = append(file, ssh.MarshalAuthorizedKey(k)...)
	}
	return boxsim.WriteFile(filepath.Join(s.cfg.Dir, authorizedFile), file, 0o600)
}

// sweep removes what a supervisor that was killed had half made or half removed.
func (s *Supervisor) sweep() {
	_, half, err := readRecords(s.cfg.Dir)
	if err != nil {
		return // powerOn says so
	}
	for _, name := range half {
		if !strings.HasPrefix(name, newPrefix) && !strings.HasPrefix(name, gonePrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.cfg.Dir, boxesDir, name)); err != nil {
			s.log.Warn("half a box is left", slog.String("dir", name), slog.Any("error", err))
		}
	}
}

// halt ends the supervisor if there is no box left.
func (s *Supervisor) halt() error {
	s.create.Lock()
	defer s.create.Unlock()
	records, _, err := readRecords(s.cfg.Dir)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		return fmt.Errorf("%d machines are left", len(records))
	}
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	s.stop()
	return nil
}
